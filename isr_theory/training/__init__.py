"""Training with flattened importance weights, in torch: the weights that there are, and the loss.

    g = E_mu[f(w) r grad log pi],   w = pi/mu

`atlas` holds the weight functions f of the field, each with the gradient weight that it really has.
"""
