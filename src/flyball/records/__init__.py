"""The vocabulary: frozen records of what is stored or crosses a process. No behaviour beyond reading themselves."""
