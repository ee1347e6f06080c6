"""Loss layers, and Accuracy, which only reports."""

from pycaffe_lite.layer.loss import accuracy as accuracy
from pycaffe_lite.layer.loss import balanced_cross_entropy_loss as balanced_cross_entropy_loss
from pycaffe_lite.layer.loss import contrastive_loss as contrastive_loss
from pycaffe_lite.layer.loss import euclidean_loss as euclidean_loss
from pycaffe_lite.layer.loss import focal_loss as focal_loss
from pycaffe_lite.layer.loss import hashing_loss as hashing_loss
from pycaffe_lite.layer.loss import hinge_loss as hinge_loss
from pycaffe_lite.layer.loss import infogain_loss as infogain_loss
from pycaffe_lite.layer.loss import l1_loss as l1_loss
from pycaffe_lite.layer.loss import multinomial_logistic_loss as multinomial_logistic_loss
from pycaffe_lite.layer.loss import sigmoid_cross_entropy_loss as sigmoid_cross_entropy_loss
from pycaffe_lite.layer.loss import smooth_l1_loss as smooth_l1_loss
from pycaffe_lite.layer.loss import softmax_with_loss as softmax_with_loss
from pycaffe_lite.layer.loss import weighted_softmax_loss as weighted_softmax_loss
