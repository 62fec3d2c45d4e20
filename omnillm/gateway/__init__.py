"""The machine: which attempt comes next, one attempt, and the streams that own theirs."""
