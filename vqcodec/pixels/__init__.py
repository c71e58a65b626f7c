"""Image files to uint8 `(H, W, 3)` sRGB pixels and back; padding to the stride. No torch."""
