"""What a plugin may import: the public names, for bundled plugins and strangers' alike.

``python -m reprozoo.zoo.plugins.public`` prints docs/plugin-api.md. ``API_VERSION`` counts changes of this list: its
minor number rises when a name joins, its major number when one goes or changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PublicModule:
    """One module of which a plugin may import names.

    Args:
        module: its full name.
        purpose: what its names are for.
        names: those that are public.
        constants: values among ``names``, with what each means; everything else says so in its docstring.
    """

    module: str
    purpose: str
    names: tuple[str, ...]
    constants: Mapping[str, str] = field(default_factory=dict)


def _module(module: str, purpose: str, names: str, **constants: str) -> PublicModule:
    return PublicModule(module, purpose, (*names.split(), *constants), constants)


MODULES = (
    _module(
        "reprozoo",
        "what most plugins need: hooks and what they register, maps, conditions, noise, samplers, errors",
        """
        DatasetSpec DescriptorSpec Family MeasureSpec OperatorSpec Option ProblemSpec SamplerSpec SolverSpec
        Condition Denoiser DenoiserMap EpsDenoiserMap LoadContext ModelCard NetworkDenoiserMap NoiseToImageMap
        Sampler ScheduledSampler schedule_options load_weights load resolve images_of NoiseBank NoiseFile
        ContractError IntegrityError PartialError PluginError ReprozooError UnavailableError UsageError
        """,
        hookimpl="marks a function as a hook",
        API_VERSION="version of this list; a plugin states the range that it fits in `REPROZOO_API`",
    ),
    _module("reprozoo.base", "where things are kept on this machine", "paths"),
    _module("reprozoo.base.devices", "where networks run, as a person names it", "resolve_device"),
    _module("reprozoo.base.errors", "sentences", "did_you_mean"),
    _module("reprozoo.base.files", "files that are there whole or not at all", "check_folder whole_file write_whole"),
    _module("reprozoo.base.records", "tables of TOML and JSON as dataclasses, each mistake a sentence", "read_record"),
    _module("reprozoo.maps.condition", "conditions of one sample", "check_condition"),
    _module("reprozoo.maps.conditions", "conditions of every sample of a run", "Conditions InTurn"),
    _module(
        "reprozoo.maps.images",
        "images as float32 in [-1, 1], as uint8 and as files",
        "from_uint8 grid read_image save_png to_uint8",
        ROUNDING="how `to_uint8` rounds, in words, for the key of what is made from rounded images",
    ),
    _module("reprozoo.maps.noise.bank", "the noise of a run", "NoiseSource"),
    _module(
        "reprozoo.diffusion.kernels",
        "how noise is mixed into data, and conversions between noise, v, score, F, flow velocity and x0",
        """
        Kernel EDM VE VP CosineVP DiscreteVP RectifiedFlow SubVP at kernel_from_config per_sample
        Preconditioning consistency_preconditioning edm_preconditioning
        F_from_x0 eps_from_x0 flow_from_x0 score_from_x0 v_from_x0
        x0_from_F x0_from_eps x0_from_flow x0_from_score x0_from_v
        """,
    ),
    _module(
        "reprozoo.diffusion.denoisers",
        "further maps of networks",
        "EDMDenoiserMap GuidedEpsDenoiserMap VectorToImageMap",
    ),
    _module(
        "reprozoo.diffusion.sampling",
        "what a sampler is made of",
        "FixedStepSampler evaluate expect_gentle_start expect_t_end",
    ),
    _module("reprozoo.diffusion.schedules", "noise levels", "karras_sigmas logsnr_sigmas"),
    _module(
        "reprozoo.diffusion.samplers",
        "samplers as functions, and the built-in ones by name",
        """
        ddim dpm_solver_pp_multistep dpm_solver_singlestep dpm_solver_step euler heun levels_of_steps make_sampler rk45
        """,
    ),
    _module(
        "reprozoo.diffusion.observations",
        "what is known of an image in an inverse problem: for operators and solvers",
        "LinearOperator Observation ObservedBatch observations_of",
        Shape="(channels, height, width)",
    ),
    _module("reprozoo.diffusion.networks.adm_names", "names in guided-diffusion's files", "from_guided_diffusion"),
    _module("reprozoo.diffusion.networks.adm_unet", "the U-Net of ADM and improved DDPM", "ADMUNet"),
    _module("reprozoo.diffusion.networks.autoencoder", "decoders of latents", "LatentDecoder with_current_names"),
    _module("reprozoo.diffusion.networks.ddpm_unet", "the U-Net of DDPM", "DDPMUNet"),
    _module(
        "reprozoo.diffusion.networks.decoders",
        "decoders of VAEs",
        "GatedDecoder",
        DECODERS="name -> class of every decoder",
    ),
    _module("reprozoo.diffusion.networks.dit", "diffusion transformers on pixels", "DiT"),
    _module(
        "reprozoo.diffusion.networks.dit_latent",
        "diffusion transformers on latents",
        "LatentDiT state_dict_from_original",
    ),
    _module(
        "reprozoo.diffusion.networks.generators",
        "generators of GANs",
        "ConvGenerator ResNetGenerator",
        GENERATORS="name -> class of every generator",
    ),
    _module("reprozoo.diffusion.networks.multistage_unet", "the U-Net of multistage models", "MultistageUNet"),
    _module(
        "reprozoo.diffusion.networks.progressive_unet",
        "the U-Net of progressive distillation",
        "ProgressiveUNet state_dict_from_flax",
    ),
    _module(
        "reprozoo.diffusion.networks.song_names",
        "names in score_sde's files",
        "from_flax from_score_sde score_sde_parameters",
    ),
    _module("reprozoo.diffusion.networks.song_unet", "the U-Nets of score_sde and EDM", "SongUNet"),
    _module("reprozoo.diffusion.networks.uvit", "U-ViT", "UViT"),
    _module(
        "reprozoo.zoo.cards",
        "cards, and where weights come from",
        "HubSource canonical_digest",
        UNKNOWN="what a card writes of what is not known",
    ),
    _module(
        "reprozoo.zoo.datasets",
        "data sets by name, and images of folders and files",
        "ImageDataset dataset_giver image_indices load_dataset read_images",
    ),
    _module("reprozoo.zoo.datasets.arrays", "arrays of images", "array_sha256"),
    _module(
        "reprozoo.zoo.datasets.files",
        "images of folders and files",
        "",
        IMAGE_SUFFIXES="suffixes of the files that are read as images",
    ),
    _module(
        "reprozoo.zoo.weights",
        "files of weights: fetched, verified, read without executing anything",
        "Checkpoint DiffusersFolder fetch read_checkpoint read_folder read_tensors repository_files",
    ),
    _module(
        "reprozoo.zoo.plugins",
        "what is installed",
        "PluginRecord Plugins Registered import_object installed_plugins installed_registry",
    ),
    _module("reprozoo.zoo.specs", "map specs as text", "MapSpec", DTYPES="precisions that a spec may name"),
    _module("reprozoo.zoo.recipes", "what a spec resolved to", "MapRecipe"),
    _module(
        "reprozoo.zoo.resolving",
        "from specs to maps, for plugins that run models of others",
        "Chosen Fetched Zoo common_options content_digests default_zoo",
    ),
    _module(
        "reprozoo.measures.base",
        "the contract of a measure",
        "Measure Nearest ScoreSpec",
        Values="array of one number for each pair of images",
    ),
    _module(
        "reprozoo.measures.checks",
        "arrays that a measure may read",
        "check_features check_images check_same_shape row_blocks",
    ),
    _module("reprozoo.measures.problems", "what a problem poses", "Posed Reference"),
    _module("reprozoo.measures.descriptors", "the contract of a descriptor", "Descriptor DescriptorContext"),
    _module(
        "reprozoo.testing",
        "what a plugin's author runs",
        """
        CheckResult assert_denoiser_contract assert_map_contract parametrize_with_checks run_checks
        check_measure parametrize_measure_checks run_measure_checks
        """,
        CHECKS="name -> every check of a map",
        MEASURE_CHECKS="name -> every check of a measure",
    ),
)

HEAD = """\
# What a plugin may import

A plugin imports from reprozoo the names of this table and nothing else; the same holds for the plugins that come with
reprozoo, and `tests/test_layers.py` checks it. Everything else may move without notice. The list has a version,
`reprozoo.API_VERSION`: its minor number rises when a name joins, its major number when one goes or changes. A plugin
says which versions it fits: `REPROZOO_API = ">=2,<3"` in the module of its hooks. Of other plugins it imports nothing.

Every name has a docstring; [write-a-plugin.md](write-a-plugin.md) shows them at work. This page is printed by
`python -m reprozoo.zoo.plugins.public`.

| module | names | for what |
|---|---|---|
"""


def page() -> str:
    """docs/plugin-api.md."""
    return HEAD + "".join(f"{_row(each)}\n" for each in MODULES)


def _row(each: PublicModule) -> str:
    names = ", ".join(f"`{name}`" for name in each.names)
    notes = "".join(f"; `{name}`: {meaning}" for name, meaning in each.constants.items())
    return f"| `{each.module}` | {names} | {each.purpose}{notes} |"


if __name__ == "__main__":
    print(page(), end="")
