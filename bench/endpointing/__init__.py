"""Accuracy of each voice detector, measured with recorded speech on simulated telephone lines.

The results are tables, and the plots of docs/endpointing.md.

recordings   voices and music of Debian's packages, as PCM
line         telephone lines made of them: utterances, pauses, backgrounds, levels, and where the speech really is
scoring      comparison of what an endpointer found with the truth
"""
