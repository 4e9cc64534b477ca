"""Named settings of deep latent Gaussian models, every one of which a flag overrides."""

from dataclasses import replace

from pushforward.experiments import families
from pushforward.experiments.dlgm.config import DlgmConfig

_MNIST = DlgmConfig(data="binarized-mnist", binarisation="static")
_IAF = families.Affine(width=320, mixing="reverse")
_SYLVESTER = families.Sylvester(rank=8, orthogonal="triangular")
# Where the decoder emits a scale, weighing log p(x, z) down lets the posterior widen until it overflows.
_PATCHES = DlgmConfig(
    data="cifar10-patches",
    likelihood="logit-normal",
    annealed="kl",
    latents=(30,),
    steps=100_000,
    validate_every=2_000,
)

PRESETS = {
    name: replace(config, preset=name)
    for name, config in {
        "dlgm-mnist": _MNIST,
        **{f"dlgm-mnist-nf{length}": replace(_MNIST, flow="planar", length=length) for length in (10, 20, 40, 80)},
        **{f"dlgm-mnist-nice{length}": replace(_MNIST, flow="nice", length=length) for length in (10, 20, 40, 80)},
        "dlgm-mnist-iaf": replace(_MNIST, flow="iaf", length=4, settings=_IAF),
        "dlgm-mnist-sylvester": replace(_MNIST, flow="sylvester", length=16, settings=_SYLVESTER),
        "dlgm-mnist-conv": replace(
            _MNIST, network="convolutional", hidden=(32, 64), flow="iaf", length=4, settings=_IAF
        ),
        "dlgm-mnist-dynamic": replace(_MNIST, data="mnist", binarisation="dynamic", length=20, steps=100_000),
        "dlgm-fashion": DlgmConfig(data="fashion-mnist", binarisation="dynamic", length=20),
        "dlgm-frey": DlgmConfig(
            data="frey-faces",
            likelihood="logistic",
            annealed="kl",
            latents=(20,),
            hidden=(200,),
            length=10,
            steps=20_000,
        ),
        "dlgm-silhouettes": DlgmConfig(data="silhouettes", binarisation="static", length=20, steps=20_000),
        **{
            f"dlgm-cifar-patches{suffix}": replace(_PATCHES, length=length)
            for suffix, length in (("", 0), ("-nf2", 2), ("-nf5", 5), ("-nf10", 10))
        },
        "dlgm-digits": DlgmConfig(
            data="digits",
            binarisation="dynamic",
            length=8,
            latents=(10,),
            hidden=(100, 100),
            steps=8_000,
            annealing_steps=1_000,
            validate_every=250,
            patience=3_000,
        ),
        "dlgm-clusters": DlgmConfig(
            data="clusters",
            likelihood="normal",
            length=3,
            latents=(2,),
            hidden=(64, 64),
            steps=12_000,
            learning_rate=2e-3,
            weight_decay=0.0,
            gradient="stick-the-landing",
            annealed="kl",
            annealing_steps=5_000,
            validate_every=250,
        ),
    }.items()
}

SUMMARIES = {
    "dlgm-mnist": "train: a deep latent Gaussian model of statically binarised MNIST with a Normal posterior",
    **{
        f"dlgm-mnist-{name}{length}": f"train: the same with {length} amortised {family} layers"
        for name, family in (("nf", "planar"), ("nice", "NICE"))
        for length in (10, 20, 40, 80)
    },
    "dlgm-mnist-iaf": "train: the same with 4 inverse autoregressive layers",
    "dlgm-mnist-sylvester": "train: the same with 16 Sylvester layers of rank 8",
    "dlgm-mnist-conv": "train: the same with gated convolutions and 4 inverse autoregressive layers",
    "dlgm-mnist-dynamic": "train: the same of MNIST binarised anew in every step, 20 planar layers",
    "dlgm-fashion": "train: the same of Fashion-MNIST binarised anew in every step, 20 planar layers",
    "dlgm-frey": "train: the same of Frey's faces in 256 grey levels, 10 planar layers",
    "dlgm-silhouettes": "train: the same of Caltech-101 silhouettes, 20 planar layers",
    "dlgm-cifar-patches": "train: the same of 8 x 8 patches of CIFAR-10, logit-normal, Normal posterior",
    **{
        f"dlgm-cifar-patches-nf{length}": f"train: the same with {length} amortised planar layers"
        for length in (2, 5, 10)
    },
    "dlgm-digits": "train: the same of scikit-learn's 8 x 8 digits, in a minute and without a download",
    "dlgm-clusters": "train: the same of three clusters in the plane, with two latents and three planar layers",
}
