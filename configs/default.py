"""Every field with its default: the paper's setting on DAVIS 2017.

The other files in this folder change some of these fields. Any field can be set
on the command line: --config.train.steps=1000. Where the paper is silent, the
comment says "our choice". A value out of range is refused before anything
starts; the message names the field. The site's reference is made from the
comments: each field has one, above it or behind it.
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
  """Returns the default configuration."""
  config = config_dict.ConfigDict()
  # Seed of the initial weights and of every random choice in the examples.
  config.seed = 0

  # --- The network; see savos_jax.models.savos_config.SavosConfig. ----------
  config.model = model = config_dict.ConfigDict()
  # Weights to start from: a file of tools.import_backbone (the encoder) or of
  # tools.export_checkpoint (the whole network); 'default': the shipped network;
  # '': random weights. It sets the five fields marked *.
  model.pretrained = ''
  model.block_counts = (3, 4, 6, 3)  # Residual blocks in res2..res5.
  model.width_multiplier = 1.0  # Of the encoder; 1: ResNet-50's 256..2048.
  model.stride_variant = 'v1.5'  # * Stride in the 3x3; 'v1': the first 1x1.
  model.stem_features = 0  # * Channels of conv1; 0: 64 * width_multiplier.
  model.stem_pool_padding = (1, 1)  # * Of the max-pool, pixels; (0, 1): Caffe.
  model.gcb_kernel_size = 7  # Of the global convolution block. Our choice.
  model.decoder_features = 256  # Channels of the decoder. Our choice.
  model.attention = True  # False: the "basic version" of Table 3.
  model.attention_residual = True  # Add the branch to its input. Our choice.
  model.attention_reduction = 16  # Of the channel gate, as in CBAM.
  model.spatial_kernel_size = 7  # Of the spatial gate, as in CBAM.
  # A look back at remembered frames: space-time memory. Beyond the paper.
  model.matching = False
  model.matching_keys = 64  # Channels in which the look back compares places.
  model.matching_values = 128  # Channels that it reads from remembered frames.
  model.compute_dtype = 'float32'  # Or 'bfloat16'; parameters stay float32.
  model.rgb_mean = (0.485, 0.456, 0.406)  # * ImageNet's mean, RGB in [0, 1].
  model.rgb_std = (0.229, 0.224, 0.225)  # * The same, standard deviation.

  # --- Where the videos are. ------------------------------------------------
  config.data = data = config_dict.ConfigDict()
  # 'davis': a folder in the layout of the DAVIS zip files. Masks may be sparse.
  # 'youtube_vos': the same, or one folder for each split, as YouTube-VOS, MOSE
  #   and LVOS unpack; objects may appear in any frame, and are segmented and
  #   scored from there on.
  # 'tfds': a prepared tensorflow_datasets `davis`; root is its data_dir.
  # 'segtrack': SegTrack v2 as its zip file unpacks, for evaluation.
  # 'embedded': clips made from scikit-image's photographs; no download.
  data.source = 'davis'
  # The folder of the data; required for every source but 'embedded'.
  data.root = config_dict.placeholder(str)
  # Of DAVIS. '2017': each id is an object; '2016': all ids are one object.
  data.year = '2017'
  data.resolution = '480p'  # The folder in JPEGImages and Annotations.
  # Image list in ImageSets, or folder of the split; '': photos only.
  data.train_split = 'train'
  data.val_split = 'val'  # The split that is evaluated.
  # Sequences to leave out of train_split; they form the split 'held_out', on
  # which a recipe can be chosen without looking at val.
  data.held_out = ()
  # Folders of photos for lucid dreams, each with images/ and masks/.
  data.stills = ()
  # Files of tools.pack, to use instead of train_split and stills.
  data.packs = ()
  # Cache of inpainted backgrounds; runs may share it. '': inside the workdir.
  data.background_cache = ''
  # What makes the examples in parallel: 'tf' (tf.data), 'threads' or 'grain'
  # (worker processes). 'auto': tf.data where TensorFlow is installed, otherwise
  # threads. The examples are the same. Scenes do not use it.
  data.loader = 'auto'
  data.workers = 2  # Threads, or processes of Grain, that make examples.
  data.prefetch = 2  # Batches prepared ahead.
  # Only for the source 'embedded', whose clips are generated:
  data.embedded_size = (128, 224)  # Height and width, pixels.
  data.embedded_train_clips = 12  # Training clips to generate.
  data.embedded_val_clips = 4  # Validation clips to generate.
  data.embedded_frames = 20  # Frames in each clip.

  # --- What a training example is; see savos_jax.data.sampling. -------------
  config.sampling = sampling = config_dict.ConfigDict()
  sampling.crop_size = (480, 864)  # Height and width, pixels; that of 480p.
  # The crop is 1/zoom of the largest window of its shape. Our choice.
  sampling.zoom_range = (1.0, 1.5)
  sampling.flip_probability = 0.5  # Of mirroring left-right. Our choice.
  # Smallest share of the reference that the object covers. Our choice.
  sampling.min_object_fraction = 0.001
  # Clips are a reference and the frames to segment; all of it is our choice.
  sampling.clip_frames = 1  # Frames to segment, in clips and in dreams.
  sampling.max_skip = 25  # Most frames from the reference to the first target.
  sampling.max_gap = 1  # Most frames from one target to the next.
  # Steps in which max_skip and max_gap grow from 1, from the first step with
  # clips on; 0: they have their full value at once.
  sampling.curriculum_steps = 0
  # Lucid dreams take the place of the paper's synthetic data. The paper does
  # not say how many; the split is our choice.
  sampling.dream_fraction = 0.5  # Share of the examples that are dreams.
  sampling.dream_only_steps = 20_000  # Initial steps without clips.
  sampling.stills_fraction = 0.5  # Share of the dreams made from data.stills.
  # Most sets of moving objects in a frame of three or more objects. Each set
  # needs a background of its own. Our choice.
  sampling.dream_subsets = 4
  # The mask of the previous frame is degraded to look like a tracker's. The
  # spline and the dilation are those of lucid dreaming; the rest is our choice.
  # Largest shift, either way, as a share of the object's size.
  sampling.mask_shift = 0.05
  sampling.mask_scale = (0.95, 1.05)  # Range of the factor of its size.
  # Largest shift of 5 points of the outline, as a share of the object's size.
  sampling.mask_spline = 0.05
  sampling.mask_dilation = 5  # Largest erosion or dilation, pixels.
  sampling.mask_blur = 3.0  # Largest sigma of the soft edge, pixels.
  # Probability of an empty mask: the object was lost.
  sampling.mask_drop_probability = 0.02

  # --- Scenes with rivals, in place of clips and dreams. ---------------------
  # Examples of several objects, made by a compiled function on the training
  # device, with the size and the number of frames above; see
  # savos_jax.data.scenes.config.SceneConfig. Beyond the paper; all our choice.
  # Photos that tools.rival_clips uses for clips are left out.
  config.scenes = scenes = config_dict.ConfigDict()
  scenes.enabled = False  # Train on scenes.
  scenes.objects = 2  # Objects to segment in an example; the others are rivals.
  scenes.single_probability = 0.3  # That all objects but one are rivals.
  scenes.video_fraction = 0.4  # Share of the examples made from videos.
  scenes.max_skip = 60  # Most frames from the reference to the first target.
  scenes.max_gap = 3  # Most frames from one target to the next.
  # Probability that the window follows the object, as with eval.zoom; otherwise
  # it shows most of the frame.
  scenes.close_probability = 0.7
  # The object's share of the longer side of such a window.
  scenes.close_range = (0.3, 0.7)
  scenes.rivals = 3  # Most objects cut out of other photos.
  scenes.rival_probability = 0.6  # Of each of them being there.
  scenes.rival_size = (0.5, 1.5)  # Relative to the object's size.
  # That a rival is from a photo of the same folder, where similar objects are.
  scenes.same_folder_probability = 0.6
  scenes.absent_probability = 0.25  # That a rival enters after the reference.
  scenes.gone_probability = 0.1  # That it has left after the reference.
  scenes.behind_probability = 0.35  # That it is behind the frame's objects.
  # Smallest share of the reference that an object covers; smaller ones become
  # rivals.
  scenes.min_area = 0.002
  scenes.rotation = 15.0  # Largest turn of photos, either way, degrees.
  scenes.bend = 0.02  # Standard deviation, as a share of the height.
  scenes.flip_probability = 0.5  # Of mirroring left-right.
  # The mask of the previous frame is degraded:
  # Standard deviation of its shift, as a share of the object's size.
  scenes.guidance_shift = 0.12
  scenes.guidance_scale = 0.1  # Standard deviation of the log of its factor.
  scenes.guidance_rival_probability = 0.12  # That it has a part of a rival.
  scenes.guidance_part_probability = 0.08  # That it lacks a part.
  scenes.guidance_drop_probability = 0.03  # That it is empty.

  # --- Lucid dreaming; see savos_jax.data.lucid.LucidConfig. ----------------
  # The ranges are those of the original program unless the comment says so.
  # An object's size is the square root of its bounding box's area.
  config.lucid = lucid = config_dict.ConfigDict()
  # Illumination: x' = a x^b + c for saturation and value in [0, 1], of the
  # background and of each frame; this is how often.
  lucid.illumination_probability = 0.5
  lucid.illumination_gain = (0.97, 1.03)  # Range of a.
  lucid.illumination_exponent = (0.8, 1.2)  # Range of b.
  lucid.illumination_offset = 0.05  # Largest c, either way.
  lucid.hole_dilation = 7  # Pixels by which a mask grows before it is filled.
  lucid.mirror_probability = 0.5  # Of mirroring the background left-right.
  # The object in the reference frame:
  lucid.spline_probability = 0.5  # Of bending the object by a spline.
  lucid.spline_points = 5  # Points of the outline that move.
  lucid.spline = 0.05  # Largest shift of each, as a share of the object's size.
  lucid.scale = (0.85, 1.15)  # Range of the factor of the object's size.
  lucid.rotation = 30.0  # Largest turn, either way, degrees.
  # The object from frame to frame:
  lucid.next_shift = 0.05  # Largest shift, as a share of the object's size.
  lucid.next_spline = 0.05  # Largest shift of each outline point, likewise.
  # The camera from frame to frame:
  lucid.camera_rotation = 3.0  # Largest turn, either way, degrees.
  lucid.camera_scale = (0.95, 1.05)  # Range of the factor.
  lucid.camera_shift = 0.05  # Largest shift, as a share of height and width.
  # The background in all frames:
  lucid.turn_probability = 0.5  # Of turning the background.
  lucid.turn = 30.0  # Largest turn, either way, degrees.
  # 'poisson' blends in a band along the outline; 'feather' mixes along the
  # outline, several times as fast.
  lucid.merge = 'poisson'
  lucid.band = 2  # Radius of the Poisson band, pixels. Our choice.
  lucid.feather = 1.0  # Sigma of the feathered outline, pixels. Our choice.
  # The mask of the previous frame, before sampling.mask_* degrades it:
  lucid.mask_spline = 0.05  # Largest shift of each outline point, likewise.
  lucid.mask_dilation = 5  # Dilation, pixels.

  # --- Online learning; see savos_jax.online.OnlineConfig. --------------------
  # Before a video is segmented, the network is fine-tuned on lucid dreams of
  # the frames whose masks are given (6.4.1): in evaluations, and in
  # tools.segment with --online.
  config.online = online = config_dict.ConfigDict()
  # Steps for each such frame; 0: no online learning.
  online.steps = 0
  # Time limit for each such frame, seconds; 0: none. With a limit the masks
  # depend on the speed of the machine.
  online.seconds = 0.0
  online.batch_size = 2  # Dreams in each step.
  # 'dream': the reference is a dream as well (paper). 'frame': it is the frame
  # itself, as it is when the video is segmented. Our addition.
  online.reference = 'dream'
  online.clip_frames = 1  # Frames to segment, as in sampling.
  online.optimizer = 'adam'  # 'adam', or 'sgd' with a momentum of 0.9.
  online.learning_rate = 1e-4  # Constant.
  # What is trained: 'decoder', 'decoder_and_global_convolution' or 'all'.
  online.parameters = 'all'
  # Interval, in frames, at which the network also learns from its own masks, as
  # OnAVOS does; 0: never.
  online.every = 0
  online.every_steps = 5  # Steps for each such frame.
  # Lowest confidence, of every object, at which a frame is learnt from.
  online.confidence = 0.9
  # The ranges of the dreams are those above, but feathered, which takes a
  # fraction of the time. The mask of the previous frame is not dilated: a
  # network that sees only dilated masks learns to erode its own.
  online.lucid = config.lucid.copy_and_resolve_references()
  online.lucid.merge = 'feather'  # See lucid.merge.
  online.lucid.mask_dilation = 0  # See lucid.mask_dilation.
  # It is degraded like this instead:
  online.mask_shift = 0.1  # See sampling.mask_shift.
  online.mask_scale = (0.9, 1.1)  # See sampling.mask_scale.
  online.mask_spline = 0.1  # See sampling.mask_spline.
  online.mask_dilation = 8  # See sampling.mask_dilation.
  online.mask_blur = 3.0  # See sampling.mask_blur.
  online.mask_drop_probability = 0.02  # See sampling.mask_drop_probability.

  # --- Training; see savos_jax.training. ------------------------------------
  config.train = train = config_dict.ConfigDict()
  train.steps = 60_000  # Training steps in all.
  # Stop after this many seconds of steps, if that is sooner; 0: no limit. The
  # same command does the rest.
  train.seconds = 0.0
  # Examples in each step, of all devices together. The training is the same on
  # any number of devices that divides it.
  train.batch_size = 4
  # Parts in which each device processes its share of a batch, to save memory.
  train.accumulation = 1
  train.optimizer = 'sgd'  # 'sgd' or 'adamw'.
  train.learning_rate = 1e-5  # Paper; with the loss summed over pixels.
  train.momentum = 0.5  # Of SGD. Paper.
  train.weight_decay = 0.0  # Of convolution kernels only.
  # 'poly' ("gradually decreased"), 'cosine' or 'constant'; 'cosine_seconds'
  # falls to 0 within train.seconds, however many steps that is.
  train.schedule = 'poly'
  train.poly_power = 0.9  # Exponent of the schedule 'poly'.
  train.warmup_steps = 0  # Steps of a linear warm-up from 0.
  # Factor of the learning rate for the encoder; 0: the encoder is frozen, which
  # halves the time of a step.
  train.encoder_learning_rate_factor = 1.0
  # Freeze the encoder's scales and biases at the values of model.pretrained.
  # Without a file there is nothing to keep, and they are trained.
  train.freeze_batch_norm = True
  # Largest global gradient norm; 0: no clipping. Our choice: the loss summed
  # over pixels has gradients of norm 1e6 at the start, and without clipping the
  # paper's learning rate diverges within three steps, from random weights and
  # from an imported encoder alike.
  train.clip_norm = 1e4
  # Decay of the averaged weights, which are the ones evaluated; 0: none.
  train.ema_decay = 0.0
  # Cross entropy over the pixels of an example: 'sum', which the paper's
  # learning rate needs (with the mean, 1e-5 hardly moves anything), or 'mean'.
  train.loss_reduction = 'sum'
  # With several objects in an example, compute the loss on the probabilities
  # after Eq. 5, as when a video is segmented.
  train.joint = True
  # Weight of a soft IoU loss, added to the mean cross entropy; 0: off.
  train.soft_iou_weight = 0.0
  # With sampling.clip_frames > 1, each frame's soft prediction guides the next.
  # 'detached': no gradient flows through it. 'through_time': it does, and the
  # activations of all frames are kept. Our choice.
  train.recurrence = 'detached'
  # Recompute activations instead of keeping them: the reference's and, with
  # 'through_time', those of all frames but the last. Less memory, more time.
  train.rematerialise = False
  # An example whose IoU falls below this is guided by the true mask in the next
  # frame; 0: never. Our choice.
  train.teacher_forcing_iou = 0.0
  train.log_every = 20  # Interval, steps.
  train.checkpoint_every = 500  # Interval, steps; the last is always saved.
  train.keep_checkpoints = 2  # The newest ones.

  # --- Evaluation on data.val_split. ----------------------------------------
  config.eval = evaluation = config_dict.ConfigDict()
  # File of tools.export_checkpoint, or the workdir of another training, either
  # of which sets the architecture; or a folder of tools.export --format=onnx,
  # which ONNX Runtime runs. 'default': the shipped network; '': this workdir.
  evaluation.checkpoint = ''
  evaluation.checkpoint_step = -1  # Of a workdir; -1: the newest.
  # Evaluate the checkpoint that validated best instead of the newest.
  evaluation.use_best = False
  evaluation.use_ema = True  # Use the averaged weights if there are any.
  # Shorter side to which frames are shrunk for the network, pixels; labels are
  # enlarged again. 0: frames stay as they are.
  evaluation.short_side = 0
  # Size of the window around each object that the network sees, relative to the
  # object; the window is shrunk or enlarged to short_side. 0: the whole frame,
  # as in the paper. Our addition.
  evaluation.zoom = 0.0
  # With zoom: an object whose confidence in the previous frame is below this
  # (0.5 to 1) is looked for in the whole frame; 0: only one without a pixel.
  evaluation.lost_confidence = 0.0
  # With zoom: largest share of an object's pixels, on each side, that the box
  # for its window leaves out, so that distant specks do not matter. 0: none.
  evaluation.stray = 0.0
  # On CPUs: decode fine details only in a box around each object, this many
  # times its size (inference/focus.py); 0: everywhere, as in the paper.
  evaluation.focus = 0.0
  # With ONNX Runtime: interval at which an object that is lost or out of sight
  # is searched for, in frames.
  evaluation.lost_every = 1
  # Frames that a network with a look back remembers besides the reference: the
  # previous frame, and others at intervals.
  evaluation.memory_frames = 0
  # Interval at which a frame is remembered, in frames; the oldest is dropped.
  evaluation.memory_every = 5
  # Lowest confidence of an object at which a frame is remembered for it.
  evaluation.memory_confidence = 0.7
  # Scales whose probabilities are averaged, such as (0.5, 0.75, 1.0).
  evaluation.scales = (1.0,)
  # Average with the mirror image as well: twice the time.
  evaluation.flip = False
  # How the probabilities of several objects are made to agree: 'softmax'
  # (Eq. 5), 'winner_takes_all' or 'independent'.
  evaluation.aggregation = 'softmax'
  # Background of 'softmax': 'product', 'max' or 'merged'. Our choice.
  evaluation.background = 'product'
  evaluation.chunk = 0  # Objects at a time, to save memory; 0: all.
  # Refine the labels with a dense CRF at the frame's full size (6.4.2). The
  # next frame is still guided by the network's own masks. Needs
  # savos_jax[crf]. The defaults were published with OnAVOS and PReMVOS.
  evaluation.crf = False
  evaluation.crf_iterations = 12  # Of the mean field.
  evaluation.crf_gaussian_sxy = 0.2209  # Width of the Gaussian kernel, pixels.
  evaluation.crf_gaussian_weight = 1.2484  # Weight of the Gaussian kernel.
  # Width of the bilateral kernel, pixels.
  evaluation.crf_bilateral_sxy = 22.376
  evaluation.crf_bilateral_srgb = 7.7025  # The same in colour, of 255 levels.
  evaluation.crf_bilateral_weight = 1.4033  # Weight of the bilateral kernel.
  # Videos of one size and number of objects that are segmented at once. More
  # keep an accelerator busy and need memory; on CPUs 1 is best.
  evaluation.videos = 1
  # Processes that segment side by side, each with its own cores: several are
  # faster on CPUs of many cores, while the time a frame is best measured with
  # one. 0: as many as cores and memory allow, and one on an accelerator.
  evaluation.jobs = 1
  # Baselines: 'first_mask' (copied) and 'background' (empty masks).
  evaluation.baselines = ('first_mask', 'background')
  # Write a picture for each sequence: prediction over ground truth.
  evaluation.strips = True
  # Write results/report.html: scores, charts and the worst frames.
  evaluation.report = True
  evaluation.video = False  # Write an overlay video for each sequence.
  evaluation.video_fps = 12.0  # Frames a second of these videos.
  # Validation scores part of a split during training, with the settings above,
  # and keeps the checkpoint with the highest J&F in workdir/checkpoints_best.
  # Use a split other than the one you report, or the result is biased.
  # Interval, in steps; also after the last step. 0: no validation.
  evaluation.every_steps = 0
  evaluation.every_split = ''  # The split; '': data.val_split.
  evaluation.every_sequences = 3  # Most sequences, the first of the split.
  evaluation.every_frames = 20  # Most frames, the first of each; 3 or more.
  # A misspelt field is an error from here on.
  return config.lock()
