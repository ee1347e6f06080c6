"""Recurrent layers, which run over time steps and carry a state along."""

from pycaffe_lite.layer.recurrent import lstm as lstm
from pycaffe_lite.layer.recurrent import lstm_unit as lstm_unit
from pycaffe_lite.layer.recurrent import rnn as rnn
