"""Random valid architectures, small enough to be built by the hundred."""

from hypothesis import assume
from hypothesis import strategies as st

from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.errors import ConfigError
from mrlspk.models.encoder import build_encoder

BANDS, WIDTH = 24, 24 * 8  # of every network here: 24 mel bands, 8 channels at the stem
BLOCKS_1D = ["conv", "att", "conv+att", "fc"]
BLOCKS_2D = ["convnext_like", "convnext_like_relu", "basic_resnet", "basic_resnet_fwse"]
POOLINGS = ["ASTP", "TSTP", "TAP", "TSDP", "TMAP", "MHASTP", "MQMHASTP"]

shared_options = {
    "block_1d_type": st.sampled_from(BLOCKS_1D),
    "block_2d_type": st.sampled_from(BLOCKS_2D),
    "group_divisor": st.sampled_from([None, 1, 2, 4]),
    "out_channels": st.sampled_from([None, 16]),
    "hop_length": st.sampled_from([80, 160, 240]),
    "pooling_func": st.sampled_from(POOLINGS),
    "feat_type": st.sampled_from(["pt", "pt_mel", "tf", "tf_mel"]),
    "global_context_att": st.booleans(),
}
reductions = st.sampled_from([None, 12, 24])
widths = st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True).map(sorted).map(tuple)


@st.composite
def stages(draw):
    """Stages of ReDimNet whose frequency strides divide the bands together."""
    strides = draw(st.sampled_from([(1,), (1, 2), (2, 1, 3), (3, 2)]))
    counts = st.integers(1, 2)
    return tuple((stride, draw(counts), draw(counts), ((3, 3),), draw(reductions)) for stride in strides)


@st.composite
def stages2(draw):
    """Stages of ReDimNet2."""
    strides = draw(st.sampled_from([((1, 1),), ((1, 1), (2, 1)), ((1, 2), (2, 1), (1, 2)), ((3, 3), (2, 1))]))
    kernels = st.sampled_from([((3, 3),), ((3, 3), (5, 1))])
    expansions = st.sampled_from([0.5, 0.75, 1, 2])
    return tuple(
        (stride, draw(st.integers(1, 2)), draw(expansions), draw(kernels), draw(reductions)) for stride in strides
    )


first = st.builds(
    ReDimNetConfig,
    F=st.just(BANDS),
    C=st.just(WIDTH // BANDS),
    stages_setup=stages(),
    feat_agg_dropout=st.sampled_from([0.0, 0.2]),
    **shared_options,
)
second = st.builds(
    ReDimNet2Config,
    F=st.just(BANDS),
    C=st.just(WIDTH // BANDS),
    stages_setup=stages2(),
    compress_tconvs=st.booleans(),
    return_2d_output=st.booleans(),
    use_freq_pos_enc=st.booleans(),
    dual_agg=st.booleans(),
    agg_gnorm=st.booleans(),
    pad_right_samples=st.sampled_from([None, 0, 160]),
    before_pool_offset=st.sampled_from([None, 0, 4]),
    **shared_options,
)


@st.composite
def architectures(draw):
    """Architectures that can be built; groups that do not divide the channels are drawn again."""
    architecture = describe_architecture(draw(first | second), draw(widths), output_norm=draw(st.booleans()))
    try:
        build_encoder(architecture, empty=True)
    except ConfigError:
        assume(False)
    return architecture
