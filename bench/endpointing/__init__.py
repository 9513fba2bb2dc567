"""How well each detector hears: recorded speech on simulated telephone lines, one table, and the plots of its page.

recordings   what Debian's packages bring, as PCM: the voices and the music
line         an hour of telephone line from them: utterances, pauses, backgrounds, levels, and where the speech truly is
scoring      what an endpointer made of it, against the truth
"""
