"""What sets the project up and checks it: nothing here runs in production, and no other room imports it.

`bootstrap` makes the environments and `lock` resolves what they hold. `sample` writes a piece of the bundled data.
`postgres` and `debian` fetch and start servers for tests and benchmarks. `snapshot` writes the graph's shape for
review, `prose` reads the pages. What people run on their data is in `commands/`, what measures is in `tools/bench/`.
"""
