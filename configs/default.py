"""Every field with its default: the paper's setting on DAVIS 2017.

Every other file in this folder is a diff from this one. Any field can be set
on the command line: --config.train.steps=1000. Where the paper is silent, the
comment says "our choice". What a field may not be is refused, by its name,
before anything starts.
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
  """Returns the default configuration."""
  config = config_dict.ConfigDict()
  # Of the initial weights and of every random choice in the examples.
  config.seed = 0

  # --- The network; see savos_jax.models.savos_config.SavosConfig. ----------
  config.model = model = config_dict.ConfigDict()
  # File of tools.import_backbone (the encoder) or tools.export_checkpoint (the
  # whole network) to start from; 'default': the shipped network; '': random
  # weights. It decides the five fields marked *.
  model.pretrained = ''
  model.block_counts = (3, 4, 6, 3)  # Residual blocks in res2..res5.
  model.width_multiplier = 1.0  # Of the encoder; 1 = ResNet-50's 256..2048.
  model.stride_variant = 'v1.5'  # * Stride in the 3x3; 'v1': in the first 1x1.
  model.stem_features = 0  # * Channels of conv1; 0: 64 * width_multiplier.
  model.stem_pool_padding = (1, 1)  # * Of the max-pool, pixels; (0, 1): Caffe.
  model.gcb_kernel_size = 7  # k of the global convolution block. Our choice.
  model.decoder_features = 256  # Channels. Our choice.
  model.attention = True  # False: the "basic version" of Table 3.
  model.attention_residual = True  # Add the gated branch to its input. Ours.
  model.attention_reduction = 16  # r of the channel gate, as CBAM.
  model.spatial_kernel_size = 7  # Of the spatial gate, as CBAM.
  # A look back at remembered frames: space-time memory. Beyond the paper.
  model.matching = False
  model.matching_keys = 64  # Channels in which places are compared.
  model.matching_values = 128  # Channels that are taken over from them.
  model.compute_dtype = 'float32'  # Or 'bfloat16'; parameters stay float32.
  model.rgb_mean = (0.485, 0.456, 0.406)  # * ImageNet's, for RGB in [0, 1].
  model.rgb_std = (0.229, 0.224, 0.225)  # *

  # --- Where the videos are. ------------------------------------------------
  config.data = data = config_dict.ConfigDict()
  # 'davis': a folder in the layout of the DAVIS zip files. Masks may be sparse.
  # 'youtube_vos': the same, or a folder a split as YouTube-VOS, MOSE and LVOS
  #   unpack; objects may appear at any frame, and are segmented and scored from
  #   there on.
  # 'tfds': a prepared tensorflow_datasets `davis`; root is its data_dir.
  # 'segtrack': SegTrack v2 as its zip file unpacks, for evaluation.
  # 'embedded': clips made from scikit-image's photographs, no download.
  data.source = 'davis'
  # Folder; must be given for all but 'embedded'.
  data.root = config_dict.placeholder(str)
  # Of DAVIS: '2017': each id an object; '2016': all ids are one.
  data.year = '2017'
  data.resolution = '480p'  # Folder below JPEGImages and Annotations.
  # Image list in ImageSets, or folder of the split; '': photos alone.
  data.train_split = 'train'
  data.val_split = 'val'
  # Sequences that train_split is left without; the split 'held_out' is made of
  # them. To choose a recipe on other sequences than those of val.
  data.held_out = ()
  # Folders with images/ and masks/: photos that only lucid dreams are made of.
  data.stills = ()
  # Files of tools.pack, in place of train_split and stills.
  data.packs = ()
  # Folder that keeps inpainted backgrounds; runs may share it. '': in workdir.
  data.background_cache = ''
  # What makes examples in parallel, the same ones: 'tf' (tf.data), 'threads' or
  # 'grain' (worker processes); 'auto': tf.data where TensorFlow is installed,
  # else threads. Not for scenes.
  data.loader = 'auto'
  data.workers = 2  # Parallel example makers: threads, or processes of Grain.
  data.prefetch = 2  # Batches kept ready.
  # Only for source 'embedded': what is generated.
  data.embedded_size = (128, 224)  # Pixels, height and width.
  data.embedded_train_clips = 12
  data.embedded_val_clips = 4
  data.embedded_frames = 20  # A clip.

  # --- What a training example is; see savos_jax.data.sampling. -------------
  config.sampling = sampling = config_dict.ConfigDict()
  sampling.crop_size = (480, 864)  # Pixels, height and width. 480p's.
  # The window is 1/zoom of the largest of the crop's shape. Our choice.
  sampling.zoom_range = (1.0, 1.5)
  sampling.flip_probability = 0.5  # Mirror left-right. Our choice.
  sampling.min_object_fraction = 0.001  # Of the reference's area. Our choice.
  # Clips of videos: a reference and the frames to segment. Our choice, all.
  sampling.clip_frames = 1  # T: frames to segment, of clips and dreams.
  sampling.max_skip = 25  # Frames from the reference to the first, at most.
  sampling.max_gap = 1  # Frames from one to the next, at most.
  # max_skip and max_gap grow from 1 during so many steps, counted from the
  # first step with clips; 0: they are full at once.
  sampling.curriculum_steps = 0
  # Lucid dreams, in place of a clip. The paper trains on synthetic data first;
  # here dreams stand for these. The split is our choice.
  sampling.dream_fraction = 0.5  # Probability that an example is a dream.
  sampling.dream_only_steps = 20_000  # First steps, without clips.
  sampling.stills_fraction = 0.5  # Of the dreams, those of data.stills, if any.
  # Sets of moving objects in a frame of three objects or more, at most: each
  # needs a background of its own. Our choice.
  sampling.dream_subsets = 4
  # The previous mask, made worse as a tracker's own would be. Our choice, but
  # for the spline and the dilation, which are lucid dreaming's:
  sampling.mask_shift = 0.05  # ± share of the object's size.
  sampling.mask_scale = (0.95, 1.05)
  sampling.mask_spline = 0.05  # ± share of the object's size, 5 outline points.
  sampling.mask_dilation = 5  # Pixels, eroded or dilated by at most this.
  sampling.mask_blur = 3.0  # Pixels, largest sigma of the soft edge.
  sampling.mask_drop_probability = 0.02  # Empty: the object was lost.

  # --- Scenes with rivals, in place of clips and dreams. ---------------------
  # Examples of several objects, made by a compiled function on the device that
  # trains, of the size and the number of frames above; see
  # savos_jax.data.scenes.config.SceneConfig. Beyond the paper; all ours. The
  # photos that tools.rival_clips makes clips of are left out.
  config.scenes = scenes = config_dict.ConfigDict()
  scenes.enabled = False
  scenes.objects = 2  # K, to segment in an example; others are rivals.
  scenes.single_probability = 0.3  # That all but one are rivals.
  scenes.video_fraction = 0.4  # Of the examples, from videos.
  scenes.max_skip = 60  # Frames from the reference to the first, at most.
  scenes.max_gap = 3  # Frames from one to the next, at most.
  # The window follows the object, as eval.zoom has it, or shows most of the
  # frame; and the object's share of the window's longer side then.
  scenes.close_probability = 0.7
  scenes.close_range = (0.3, 0.7)
  scenes.rivals = 3  # Objects cut out of other photos, at most.
  scenes.rival_probability = 0.6  # That each of them is there.
  scenes.rival_size = (0.5, 1.5)  # Factor of the object's size.
  # From a photo of the same folder, where like objects are.
  scenes.same_folder_probability = 0.6
  scenes.absent_probability = 0.25  # Enters after the reference.
  scenes.gone_probability = 0.1  # Has left after the reference.
  scenes.behind_probability = 0.35  # Behind the objects of the frame.
  scenes.min_area = 0.002  # Of the reference; smaller ones are rivals.
  scenes.rotation = 15.0  # ± degrees, of photos.
  scenes.bend = 0.02  # Standard deviation, share of the height.
  scenes.flip_probability = 0.5
  # The previous mask: standard deviations of its shift, share of the object's
  # size, and of its factor's logarithm; probabilities of what is wrong with it.
  scenes.guidance_shift = 0.12
  scenes.guidance_scale = 0.1
  scenes.guidance_rival_probability = 0.12  # Has a part of a rival.
  scenes.guidance_part_probability = 0.08  # Lacks a part.
  scenes.guidance_drop_probability = 0.03  # Empty: the object was lost.

  # --- Lucid dreaming; see savos_jax.data.lucid.LucidConfig. ----------------
  # The ranges of the original program, where the comment says nothing else.
  # An object's size is the square root of its bounding box's area.
  config.lucid = lucid = config_dict.ConfigDict()
  # x' = a x^b + c for saturation and value in [0, 1], of the background and of
  # each frame.
  lucid.illumination_probability = 0.5
  lucid.illumination_gain = (0.97, 1.03)  # a.
  lucid.illumination_exponent = (0.8, 1.2)  # b.
  lucid.illumination_offset = 0.05  # c, ±.
  lucid.hole_dilation = 7  # Pixels by which a mask grows before it is filled.
  lucid.mirror_probability = 0.5  # Background left-right.
  # The object in the reference frame.
  lucid.spline_probability = 0.5
  lucid.spline_points = 5  # Of the outline.
  lucid.spline = 0.05  # ± share of the object's size, for each point.
  lucid.scale = (0.85, 1.15)  # Factor of the object's size.
  lucid.rotation = 30.0  # ± degrees.
  # The object from frame to frame.
  lucid.next_shift = 0.05  # ± share of the object's size.
  lucid.next_spline = 0.05  # ± share of the object's size, for each point.
  # The camera from frame to frame.
  lucid.camera_rotation = 3.0  # ± degrees.
  lucid.camera_scale = (0.95, 1.05)  # Factor.
  lucid.camera_shift = 0.05  # ± share of the frame's height and width.
  # The background in all frames.
  lucid.turn_probability = 0.5
  lucid.turn = 30.0  # ± degrees.
  # 'poisson': blended in a band at the outline; 'feather': mixed along the
  # outline, several times as fast.
  lucid.merge = 'poisson'
  lucid.band = 2  # Pixels, radius of the Poisson band. Our choice.
  lucid.feather = 1.0  # Pixels, sigma of the feathered outline. Our choice.
  # The previous mask, before sampling.mask_* make it worse.
  lucid.mask_spline = 0.05  # ± share of the object's size, for each point.
  lucid.mask_dilation = 5  # Pixels.

  # --- Online learning; see savos_jax.online.OnlineConfig. --------------------
  # Before a video is segmented, the network is taught its objects: reference
  # and target are lucid dreams of the frames whose masks are given (6.4.1). Of
  # evaluations, and of tools.segment by --online.
  config.online = online = config_dict.ConfigDict()
  online.steps = 0  # In each such frame; 0: the network stays as it is.
  # No step begins after so many, in each frame; 0: no bound. With one the masks
  # depend on how fast the machine is.
  online.seconds = 0.0
  online.batch_size = 2  # Dreams a step.
  # 'dream': the reference is a dream, too (paper); 'frame': it is the frame
  # itself, as when the video is segmented. Our addition.
  online.reference = 'dream'
  online.clip_frames = 1  # Of each that are segmented, as in sampling.
  online.optimizer = 'adam'  # 'adam' or 'sgd', with a momentum of 0.9.
  online.learning_rate = 1e-4
  # What learns: 'decoder', 'decoder_and_global_convolution' or 'all'.
  online.parameters = 'all'
  # Each so many frames one is learnt from in which every object is as sure as
  # this, besides those with masks, in so many steps (OnAVOS); 0: never.
  online.every = 0  # Frames.
  online.every_steps = 5
  online.confidence = 0.9
  # The dreams' ranges, as above; feathered, which takes a fraction of the time.
  # The previous mask is not dilated: a network that saw nothing else would
  # erode its own mask from frame to frame.
  online.lucid = config.lucid.copy_and_resolve_references()
  online.lucid.merge = 'feather'
  online.lucid.mask_dilation = 0
  # What makes it wrong instead, as sampling.mask_*.
  online.mask_shift = 0.1
  online.mask_scale = (0.9, 1.1)
  online.mask_spline = 0.1
  online.mask_dilation = 8
  online.mask_blur = 3.0
  online.mask_drop_probability = 0.02

  # --- Training; see savos_jax.training. ------------------------------------
  config.train = train = config_dict.ConfigDict()
  train.steps = 60_000
  # Ends after so many seconds of steps, if that is sooner; 0: never. What is
  # left is done by the same command.
  train.seconds = 0.0
  # Examples a step, of all devices together: the same training on any number
  # of devices that divides it.
  train.batch_size = 4
  # Parts in which each device takes its share, to save memory.
  train.accumulation = 1
  train.optimizer = 'sgd'  # 'sgd' or 'adamw'.
  train.learning_rate = 1e-5  # Paper; with the sum over pixels below.
  train.momentum = 0.5  # SGD's. Paper.
  train.weight_decay = 0.0  # On kernels only.
  # 'poly' ("gradually decreased"), 'cosine' or 'constant'; 'cosine_seconds'
  # falls to 0 in train.seconds, however many steps that makes.
  train.schedule = 'poly'
  train.poly_power = 0.9
  train.warmup_steps = 0  # Linear from 0.
  # Times the learning rate; 0: the encoder stays as it is, at half the time.
  train.encoder_learning_rate_factor = 1.0
  # Keeps the encoder's scales and biases as model.pretrained has them. Without
  # a file there is nothing to keep, and they are trained.
  train.freeze_batch_norm = True
  # Largest global gradient norm; 0: no clipping. Our choice: the loss summed
  # over the pixels has gradients of norm 1e6 at the start, and the paper's rate
  # without a bound diverges within three steps, from random weights and from
  # an imported encoder alike.
  train.clip_norm = 1e4
  train.ema_decay = 0.0  # Of the averaged weights that are evaluated; 0: off.
  # Cross entropy over the pixels of an example: 'sum' (the paper's rate needs
  # it: with the mean, 1e-5 hardly moves anything) or 'mean'.
  train.loss_reduction = 'sum'
  # Of several objects in an example, the loss is on the probabilities that
  # Eq. 5 makes of them, as when a video is segmented.
  train.joint = True
  train.soft_iou_weight = 0.0  # Added to the mean cross entropy; 0: off.
  # With sampling.clip_frames > 1 each frame's soft prediction is the next one's
  # guidance. 'detached': no gradient flows into it; 'through_time': it does,
  # and all frames' activations are kept. Our choice.
  train.recurrence = 'detached'
  # Computes activations again instead of keeping them: the reference's and,
  # 'through_time', those of all frames but the last. Less memory, more time.
  train.rematerialise = False
  # An example whose IoU falls below it is given the true mask as the next
  # frame's guidance; 0: never. Our choice.
  train.teacher_forcing_iou = 0.0
  train.log_every = 20  # Steps.
  train.checkpoint_every = 500  # Steps; the last is always saved.
  train.keep_checkpoints = 2

  # --- Evaluation on data.val_split. ----------------------------------------
  config.eval = evaluation = config_dict.ConfigDict()
  # File of tools.export_checkpoint, or another training's workdir, which then
  # tells what the network is; 'default': the shipped network; '': this workdir.
  evaluation.checkpoint = ''
  evaluation.checkpoint_step = -1  # Of a workdir; -1: the newest.
  # Of a workdir, in place of the newest: the best one that validation found.
  evaluation.use_best = False
  evaluation.use_ema = True  # The averaged weights, when there are any.
  # Frames are shrunk to it for the network, labels enlarged back; 0: never.
  evaluation.short_side = 0  # Pixels.
  # The network sees a window around each object, this times its size, shrunk or
  # enlarged to short_side; 0: the frame, as the paper's. Our addition.
  evaluation.zoom = 0.0
  # With zoom: an object that is less sure than this (0.5 to 1) in the frame
  # before is looked for in the whole frame; 0: one without a pixel alone.
  evaluation.lost_confidence = 0.0
  # With zoom: share of an object's pixels at each side, at most, that the box
  # for its window leaves out: specks far away. 0: none.
  evaluation.stray = 0.0
  # Of a network with a look back: frames that it remembers besides the
  # reference, the last one and others between; of so many frames one is kept,
  # the oldest goes; an object's only where it is as sure as this.
  evaluation.memory_frames = 0
  evaluation.memory_every = 5  # Frames.
  evaluation.memory_confidence = 0.7
  evaluation.scales = (1.0,)  # (0.5, 0.75, 1.0): probabilities are averaged.
  evaluation.flip = False  # Averages the mirror image, too: twice the time.
  # How several objects agree: 'softmax' (Eq. 5), 'winner_takes_all' or
  # 'independent'.
  evaluation.aggregation = 'softmax'
  # Its background: 'product', 'max' or 'merged'. Our choice.
  evaluation.background = 'product'
  evaluation.chunk = 0  # Objects at once, to save memory; 0: all.
  # Labels are refined by a dense CRF at the frame's own size (6.4.2); what
  # guides the next frame stays the network's. Needs savos_jax[crf]. The values
  # are those published with OnAVOS and PReMVOS; widths in pixels and, in
  # colour, grey levels of 255.
  evaluation.crf = False
  evaluation.crf_iterations = 12
  evaluation.crf_gaussian_sxy = 0.2209
  evaluation.crf_gaussian_weight = 1.2484
  evaluation.crf_bilateral_sxy = 22.376
  evaluation.crf_bilateral_srgb = 7.7025
  evaluation.crf_bilateral_weight = 1.4033
  # Videos of one size and number of objects that are segmented at once. More
  # keep an accelerator busy, and take its memory; on CPUs 1 is best.
  evaluation.videos = 1
  # Scored beside the network: 'first_mask' (copied), 'background' (empty).
  evaluation.baselines = ('first_mask', 'background')
  evaluation.strips = True  # A picture a sequence: prediction over truth.
  # results/report.html: scores, charts and the worst frames, to look at.
  evaluation.report = True
  evaluation.video = False  # An overlay video a sequence.
  evaluation.video_fps = 12.0  # Frames a second.
  # Validation: a small part of a split is scored while the network trains, in
  # the way that is set above. The checkpoint with the highest J&F is kept in
  # workdir/checkpoints_best. Whoever chooses it on the split that is reported
  # in the end reports a little too much.
  evaluation.every_steps = 0  # Steps, and after the last; 0: never.
  evaluation.every_split = ''  # Image list; '': data.val_split.
  evaluation.every_sequences = 3  # The first of the split, at most.
  evaluation.every_frames = 20  # The first of each, at most; 3 or more.
  # A misspelt field is an error from here on.
  return config.lock()
