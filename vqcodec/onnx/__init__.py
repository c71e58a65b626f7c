"""The networks without torch: ONNX graphs made of a model pack, and run by onnxruntime.

numpy arrays come in and go out through `load.OnnxNets`. `export` writes the same graphs to a folder
for other programs. What the graphs compute is what `nets/` computes; tests hold them together.
"""
