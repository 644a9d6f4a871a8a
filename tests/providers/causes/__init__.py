"""What brings about the errors that CRMs document: states of an emulator's account, and calls that it cannot take."""
