"""The same turn taken by Ensemble, LangGraph and DBOS, each in a process of its own.

A turn is: a person asks, the model asks for one tool, the tool answers, the model answers in
pieces of a token or two. What each system promises of it, and so what is compared:

* **Ensemble**: the question is durable before it is acknowledged; the tool call before the tool
  runs; every piece of text before it is sent; the end with usage in the last commit. Pieces that
  wait for the disk together are one segment. Driven through the orchestrator's servicer over
  the in-process channel, the model and the tools being scripted services behind the real
  interceptors.
* **LangGraph**: a graph of two nodes with ``durability="sync"``: the state of the dialogue is
  saved after each node. Pieces go to the consumer as they come (``stream_mode="custom"``) and
  are durable only with the node that made them: a crash in the middle of an answer makes it anew.
* **DBOS**: a workflow of three steps, each one's result saved before the next begins. Pieces
  are durable with their step as well; where it says ``tokens`` each is written to a durable
  stream first, which is what DBOS offers for the promise that Ensemble gives. The history of a
  dialogue is kept in memory, which costs DBOS nothing.

The model and the tool are plain functions in the other two: no network and no serialising.
"""
