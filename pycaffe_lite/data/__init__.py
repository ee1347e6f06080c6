"""Readers of data sets, what Caffe does to each record on its way into a net, and makers of databases."""
