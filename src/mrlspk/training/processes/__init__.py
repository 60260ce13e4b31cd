"""The processes of a run: started, and agreed on what they do."""
