"""What a company's data can carry, before anything is trained: numbers in, sentences out. Nothing reads a warehouse.

`rhythm` says how customers come again and who lapses within which horizon, `calendar` on which days there are orders,
`verdict` what follows for the question, `picture` shows it.
"""
