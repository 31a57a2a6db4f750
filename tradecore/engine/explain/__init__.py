"""Why: the inputs of every decision after a signal, kept so that the guests can be asked again.

::

    inputs      one question and its answer           looked     a market that remembers what was read of it
    tokens      typed values as short texts           record     a question as an event and back
    recorder    writes questions while a run goes on  repeats    tells what only comes again
    reask       the same questions to other guests    deciders   who decided on each quiet candidate
    tally       every candidate of every scan, counted by symbol
"""
