"""Run ONNX speaker models of other toolkits, from audio to embedding, without torch."""
