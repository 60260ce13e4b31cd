"""Read, write and check vector files of any toolkit, and the speaker labels beside them."""
