"""The publications behind the zoo, each once."""

from rondeau.ir.source import Source

ELMAN = Source("Elman, Jeffrey L.", "Finding Structure in Time", 1990, "Cognitive Science 14(2)")
JORDAN = Source("Jordan, Michael I.", "Serial Order: A Parallel Distributed Processing Approach", 1986, "ICS report 8604")
LSTM = Source("Hochreiter, Sepp and Schmidhuber, Jürgen", "Long Short-Term Memory", 1997, "Neural Computation 9(8)")
FORGET = Source("Gers, Felix A. and Schmidhuber, Jürgen and Cummins, Fred", "Learning to Forget: Continual Prediction with LSTM", 2000, "Neural Computation 12(10)")  # fmt: skip
PEEPHOLE = Source("Gers, Felix A. and Schraudolph, Nicol N. and Schmidhuber, Jürgen", "Learning Precise Timing with LSTM Recurrent Networks", 2002, "JMLR 3")  # fmt: skip
ODYSSEY = Source("Greff, Klaus and others", "LSTM: A Search Space Odyssey", 2017, "IEEE TNNLS 28(10)", "https://arxiv.org/abs/1503.04069")  # fmt: skip
PROJECTED = Source("Sak, Haşim and Senior, Andrew and Beaufays, Françoise", "Long Short-Term Memory Based Recurrent Neural Network Architectures for Large Vocabulary Speech Recognition", 2014, "", "https://arxiv.org/abs/1402.1128")  # fmt: skip
LAYER_NORM = Source("Ba, Jimmy Lei and Kiros, Jamie Ryan and Hinton, Geoffrey E.", "Layer Normalization", 2016, "", "https://arxiv.org/abs/1607.06450")  # fmt: skip
GRU = Source("Cho, Kyunghyun and others", "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", 2014, "EMNLP", "https://arxiv.org/abs/1406.1078")  # fmt: skip
MGU = Source("Zhou, Guo-Bing and others", "Minimal Gated Unit for Recurrent Neural Networks", 2016, "", "https://arxiv.org/abs/1603.09420")  # fmt: skip
CAPACITY = Source("Collins, Jasmine and Sohl-Dickstein, Jascha and Sussillo, David", "Capacity and Trainability in Recurrent Neural Networks", 2017, "ICLR", "https://arxiv.org/abs/1611.09913")  # fmt: skip
LEAKY = Source("Jaeger, Herbert and others", "Optimization and Applications of Echo State Networks with Leaky-Integrator Neurons", 2007, "Neural Networks 20(3)")  # fmt: skip
LAGS = Source("Lin, Tsungnan and others", "Learning Long-Term Dependencies in NARX Recurrent Neural Networks", 1996, "IEEE Transactions on Neural Networks 7(6)")  # fmt: skip
CLOCKWORK = Source("Koutník, Jan and others", "A Clockwork RNN", 2014, "ICML", "https://arxiv.org/abs/1402.3511")
HIERARCHY = Source("El Hihi, Salah and Bengio, Yoshua", "Hierarchical Recurrent Neural Networks for Long-Term Dependencies", 1996, "NIPS")  # fmt: skip
DEEP = Source("Pascanu, Razvan and others", "How to Construct Deep Recurrent Neural Networks", 2014, "ICLR", "https://arxiv.org/abs/1312.6026")  # fmt: skip
HIGHWAY = Source("Zilly, Julian Georg and others", "Recurrent Highway Networks", 2017, "ICML", "https://arxiv.org/abs/1607.03474")  # fmt: skip
MULTIPLICATIVE = Source("Krause, Ben and others", "Multiplicative LSTM for Sequence Modelling", 2016, "", "https://arxiv.org/abs/1609.07959")  # fmt: skip
INDRNN = Source("Li, Shuai and others", "Independently Recurrent Neural Network (IndRNN)", 2018, "CVPR", "https://arxiv.org/abs/1803.04831")  # fmt: skip
MIN_RNN = Source("Feng, Leo and others", "Were RNNs All We Needed?", 2024, "", "https://arxiv.org/abs/2410.01201")
JANET = Source("van der Westhuizen, Jos and Lasenby, Joan", "The Unreasonable Effectiveness of the Forget Gate", 2018, "", "https://arxiv.org/abs/1804.04849")  # fmt: skip
LIGRU = Source("Ravanelli, Mirco and others", "Light Gated Recurrent Units for Speech Recognition", 2018, "IEEE TETCI 2(2)", "https://arxiv.org/abs/1803.10225")  # fmt: skip
RATE = Source("Funahashi, Ken-ichi and Nakamura, Yuichi", "Approximation of Dynamical Systems by Continuous Time Recurrent Neural Networks", 1993, "Neural Networks 6(6)")  # fmt: skip
ZONEOUT = Source("Krueger, David and others", "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations", 2017, "ICLR", "https://arxiv.org/abs/1606.01305")  # fmt: skip
DROPOUT = Source("Gal, Yarin and Ghahramani, Zoubin", "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016, "NIPS", "https://arxiv.org/abs/1512.05287")  # fmt: skip
MEMORY_LOSS = Source("Semeniuta, Stanislau and Severyn, Aliaksei and Barth, Erhardt", "Recurrent Dropout without Memory Loss", 2016, "COLING", "https://arxiv.org/abs/1603.05118")  # fmt: skip
ADDITIVE_MEMORY = Source(note="for teaching: a memory with a forget gate and an update, and no input gate")
