"""Is a Python interpreter's persistence something a language-model agent learns from its training
traces?"""

__version__ = "0.1.0"
