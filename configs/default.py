"""Every field with its default: the paper's setting on DAVIS 2017.

Every other file in this folder is a diff from this one. Any field can be set
on the command line: --config.train.steps=1000. Where the paper is silent, the
comment says "our choice".
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
  """Returns the default configuration."""
  config = config_dict.ConfigDict()
  # Of the initial weights and of every random choice in the examples.
  config.seed = 0

  # --- The network; see savos_jax.models.savos.SavosConfig. -----------------
  config.model = model = config_dict.ConfigDict()
  model.block_counts = (3, 4, 6, 3)  # Residual blocks in res2..res5.
  model.width_multiplier = 1.0  # Of the encoder; 1 = ResNet-50's 256..2048.
  model.stride_variant = 'v1.5'  # 'v1.5': stride in the 3x3; 'v1': first 1x1.
  model.gcb_kernel_size = 7  # k of the global convolution block. Our choice.
  model.decoder_features = 256  # Channels. Our choice.
  model.attention = True  # False: the "basic version" of Table 3.
  model.attention_residual = True  # Add the gated branch to its input. Ours.
  model.attention_reduction = 16  # r of the channel gate, as CBAM.
  model.spatial_kernel_size = 7  # Of the spatial gate, as CBAM.
  model.compute_dtype = 'float32'  # Or 'bfloat16'; parameters stay float32.
  model.rgb_mean = (0.485, 0.456, 0.406)  # ImageNet's, for RGB in [0, 1].
  model.rgb_std = (0.229, 0.224, 0.225)

  # --- Where the videos are. ------------------------------------------------
  config.data = data = config_dict.ConfigDict()
  # 'davis': a folder in the layout of the DAVIS zip files.
  # 'tfds': a prepared tensorflow_datasets `davis`; root is its data_dir.
  # 'embedded': clips made from scikit-image's photographs, no download.
  data.source = 'davis'
  data.root = config_dict.placeholder(str)  # Folder; must be given for DAVIS.
  data.year = '2017'  # '2017': each id an object; '2016': all ids are one.
  data.resolution = '480p'  # Folder below JPEGImages and Annotations.
  data.train_split = 'train'  # Names of image lists in ImageSets.
  data.val_split = 'val'
  data.workers = 2  # Parallel example makers.
  data.prefetch = 2  # Batches kept ready.
  # Only for source 'embedded': what is generated.
  data.embedded_size = (128, 224)  # Pixels, height and width.
  data.embedded_train_clips = 12
  data.embedded_val_clips = 4
  data.embedded_frames = 20  # A clip.

  # --- What a training example is; see savos_jax.data.sampling. -------------
  config.sampling = sampling = config_dict.ConfigDict()
  sampling.crop_size = (480, 864)  # Pixels, height and width.
  sampling.zoom_range = (1.0, 1.5)  # 1: the largest window of the crop's shape.
  sampling.flip_probability = 0.5  # Mirror left-right.
  sampling.max_skip = 25  # Frames between reference and target, at most.
  sampling.min_object_fraction = 0.001  # Of the reference frame's area.
  # The previous mask, made worse as a tracker's own would be:
  sampling.mask_shift = 0.05  # ± share of the object's size.
  sampling.mask_scale = (0.95, 1.05)
  sampling.mask_spline = 0.05  # ± share of the object's size, 5 outline points.
  sampling.mask_dilation = 5  # Pixels, eroded or dilated by at most this.
  sampling.mask_blur = 3.0  # Pixels, largest sigma of the soft edge.
  sampling.mask_drop_probability = 0.02  # Empty: the object was lost.

  # --- Training; see savos_jax.training. ------------------------------------
  config.train = train = config_dict.ConfigDict()
  train.steps = 60_000
  train.batch_size = 4  # Examples a step.
  train.optimizer = 'sgd'  # 'sgd' or 'adamw'.
  train.learning_rate = 1e-5  # Paper; with the sum over pixels below.
  train.momentum = 0.5  # SGD's. Paper.
  train.weight_decay = 0.0  # On kernels only.
  train.schedule = (
    'poly'  # 'poly' ("gradually decreased"), 'cosine' or 'constant'.
  )
  train.poly_power = 0.9
  train.warmup_steps = 0  # Linear from 0.
  train.encoder_learning_rate_factor = 1.0  # Times the learning rate.
  train.freeze_batch_norm = True  # False when training from scratch.
  # Largest global gradient norm; 0: no clipping. Our choice: the loss summed
  # over the pixels has gradients of norm 1e6 at the start, and the paper's rate
  # without a bound diverges from random weights within three steps.
  train.clip_norm = 1e4
  train.ema_decay = 0.0  # Of the averaged weights that are evaluated; 0: off.
  # Cross entropy over the pixels of an example: 'sum' (the paper's rate needs
  # it: with the mean, 1e-5 hardly moves anything) or 'mean'.
  train.loss_reduction = 'sum'
  train.soft_iou_weight = 0.0  # Added to the mean cross entropy; 0: off.
  train.log_every = 20  # Steps.
  train.checkpoint_every = 500  # Steps; the last is always saved.
  train.keep_checkpoints = 2

  # --- Evaluation on data.val_split. ----------------------------------------
  config.eval = evaluation = config_dict.ConfigDict()
  evaluation.checkpoint_step = -1  # Of workdir's checkpoints; -1: the newest.
  evaluation.use_ema = True  # The averaged weights, when there are any.
  # Frames are shrunk to it for the network, labels enlarged back; 0: never.
  evaluation.short_side = 0  # Pixels.
  # Scored beside the network: 'first_mask' (copied), 'background' (empty).
  evaluation.baselines = ('first_mask', 'background')
  evaluation.strips = True  # A picture a sequence: prediction over truth.
  evaluation.video = False  # An overlay video a sequence.
  evaluation.video_fps = 12.0  # Frames a second.
  # A misspelt field is an error from here on.
  return config.lock()
