"""Find utterances of another voice under a speaker, and one voice under several speakers, by their embeddings."""
