"""Write a speaker model of another toolkit, its front end and a map of its embeddings as one ONNX graph."""
