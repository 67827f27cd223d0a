"""What a training loop needs beside the step; each is usable alone."""
