"""Compares a reading with the ground truth, with a second engine or with the embedded OCR engine, and judges it."""
