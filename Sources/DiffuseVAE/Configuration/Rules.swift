/// Settings that depend on each other.
extension Configuration {
  private static let stages = [
    ("training.vae", \TrainingSettings.vae), ("training.prior", \TrainingSettings.prior),
    ("training.denoiser", \TrainingSettings.denoiser),
    ("training.consistency", \TrainingSettings.consistency),
  ]

  /// Lets what was given replace a default, or something given earlier, that excludes it.
  mutating func settle(_ given: [String: Place]) {
    if given["diffusion.condition"] == nil {
      diffusion.condition = diffusion.formulation != .unconditional
    }
    if given["sampling.eta"] != nil, given["sampling.sampler"] == nil { sampling.sampler = .ddim }
    if given["diffusion.gamma"] == nil { diffusion.gamma = diffusion.loss.usualGamma }
    if given["denoiser.embedding"] == nil, denoiser.kind == .unet {
      denoiser.embedding = 128
    }
    for (path, property) in Self.stages {
      let stage = training[keyPath: property]
      guard stage.epochs != nil, stage.steps != nil else { continue }
      let epochs = given["\(path).epochs"]?.source ?? -1
      let steps = given["\(path).steps"]?.source ?? -1
      if epochs < steps { training[keyPath: property].epochs = nil }
      if steps < epochs { training[keyPath: property].steps = nil }
    }
  }

  /// What is wrong with settings each of which is allowed.
  var conflicts: [(settings: [String], problem: String)] {
    var conflicts: [(settings: [String], problem: String)] = []
    func require(_ isMet: Bool, of settings: String..., else problem: String) {
      if !isMet { conflicts.append((settings, problem)) }
    }

    require(
      data.validation == 0 || training.grids > 0,
      of: "data.validation", "training.grids",
      else: "training.grids must be at least 1 with data.validation, whose losses are found then")
    require(
      vae.binarise == .none || vae.likelihood == .bernoulli,
      of: "vae.binarise", "vae.likelihood",
      else: "vae.binarise is for likelihood bernoulli only")
    require(
      vae.objective == .elbo || vae.freeBits == 0,
      of: "vae.objective", "vae.free_bits",
      else: "vae.free_bits must be 0 with objective iwae")
    require(
      vae.upperLatents.isEmpty || vae.freeBits == 0,
      of: "vae.upper_latents", "vae.free_bits",
      else: "vae.free_bits must be 0 with upper_latents, whose divergences are not known one by one"
    )
    require(
      diffusion.formulation != .concat || diffusion.condition,
      of: "diffusion.formulation", "diffusion.condition",
      else: "diffusion.condition must be true with formulation concat; without x̂0 it is none")
    require(
      diffusion.formulation != .unconditional || !diffusion.condition,
      of: "diffusion.formulation", "diffusion.condition",
      else: "diffusion.condition must be false with formulation none")
    require(
      diffusion.formulation != .unconditional || diffusion.conditionNoise == 0,
      of: "diffusion.formulation", "diffusion.condition_noise",
      else: "diffusion.condition_noise must be 0 with formulation none, which has no x̂0")
    require(
      diffusion.formulation != .unconditional
        || !diffusion.conditionLatent && diffusion.dropReconstruction == 0,
      of: "diffusion.formulation", "diffusion.condition_latent", "diffusion.drop_reconstruction",
      else: "diffusion.condition_latent must be false and drop_reconstruction 0 with formulation "
        + "none, which has neither z nor x̂0")
    require(
      diffusion.classes == 0 || diffusion.classes == vae.classes || !hasVAE,
      of: "vae.classes", "diffusion.classes",
      else:
        "diffusion.classes must be 0 or the same as vae.classes: else z, which is drawn without "
        + "the label, would tell of another")
    require(
      diffusion.dropLatent == 0 || diffusion.conditionLatent,
      of: "diffusion.drop_latent", "diffusion.condition_latent",
      else: "diffusion.drop_latent must be 0 without condition_latent")
    require(
      diffusion.dropLabel == 0 || diffusion.classes > 0,
      of: "diffusion.drop_label", "diffusion.classes",
      else: "diffusion.drop_label must be 0 without classes")
    require(
      sampling.guidanceWeight == 0 || !Conditioning(diffusion).withholdable.isEmpty,
      of: "sampling.guidance", "diffusion.drop_reconstruction", "diffusion.drop_latent",
      "diffusion.drop_label",
      else: "sampling.guidance needs a diffusion.drop_reconstruction, drop_latent or drop_label "
        + "above 0")
    require(
      sampling.guidanceWeight == 0 || sampling.sampler != .consistency,
      of: "sampling.guidance", "sampling.sampler",
      else: "sampling.guidance is for samplers other than consistency")
    require(
      sampling.guidanceFrom <= sampling.guidanceTo,
      of: "sampling.guidance_from", "sampling.guidance_to",
      else: "sampling.guidance_from must be at most guidance_to")
    require(
      !diffusion.zeroSNR || !diffusion.target.needsSignal,
      of: "diffusion.target", "diffusion.zero_snr",
      else: "diffusion.zero_snr is for target original or velocity only; "
        + "at pure noise, \(diffusion.target) says nothing of x0")
    require(
      diffusion.loss.hasGamma || diffusion.gamma == diffusion.loss.usualGamma,
      of: "diffusion.loss", "diffusion.gamma",
      else: "diffusion.gamma is for loss min-snr or p2 only")
    require(
      training.plan == .twoStage
        || [.concat, .centred].contains(diffusion.formulation),
      of: "training.plan", "diffusion.formulation",
      else: "training.plan must be two-stage unless the formulation is concat or centred: in "
        + "residual what is diffused is made of x̂0, too, and none has no VAE")
    require(
      training.plan == .twoStage
        || !diffusion.conditionLatent && vae.binarise == .none && vae.samples == 1,
      of: "training.plan", "diffusion.condition_latent", "vae.binarise", "vae.samples",
      else: "training.plan must be two-stage with condition_latent, binarise or several samples: "
        + "together, both networks see one z, grey images, and x̂0 only")
    require(
      denoiser.kind != .exact || TestBed(rawValue: data.set) != nil,
      of: "denoiser.kind", "data.set",
      else: "denoiser.kind exact is for data.set "
        + TestBed.allCases.map(\.rawValue).joined(separator: " or "))
    require(
      denoiser.kind != .exact
        || diffusion.formulation == .unconditional && diffusion.classes == 0,
      of: "denoiser.kind", "diffusion.formulation", "diffusion.classes",
      else: "denoiser.kind exact is for diffusion.formulation none without classes: with x̂0 or a "
        + "label the best is not known"
    )
    require(
      denoiser.kind != .exact || !diffusion.learnVariance,
      of: "denoiser.kind", "diffusion.learn_variance",
      else: "diffusion.learn_variance must be false with denoiser.kind exact, which learns nothing")
    require(
      diffusion.timesteps != .continuous || !diffusion.learnVariance,
      of: "diffusion.timesteps", "diffusion.learn_variance",
      else: "diffusion.learn_variance must be false with diffusion.timesteps continuous, where no "
        + "step leads from one t to the next")
    require(
      consistency.kind == .none || !diffusion.learnVariance,
      of: "consistency.kind", "diffusion.learn_variance",
      else: "diffusion.learn_variance must be false with consistency.kind \(consistency.kind), "
        + "whose model has no variance")
    require(
      sampling.variance != .learned || diffusion.learnVariance,
      of: "sampling.variance", "diffusion.learn_variance",
      else: "sampling.variance learned is for diffusion.learn_variance only")
    require(
      sampling.steps <= diffusion.steps,
      of: "sampling.steps", "diffusion.steps",
      else: "sampling.steps must be at most diffusion.steps, "
        + "not \(sampling.steps) with \(diffusion.steps)")
    require(
      consistency.levels <= diffusion.steps || consistency.kind == .none,
      of: "consistency.levels", "diffusion.steps",
      else: "consistency.levels must be at most diffusion.steps, "
        + "not \(consistency.levels) with \(diffusion.steps)")
    require(
      sampling.sampler != .consistency || consistency.kind != .none,
      of: "sampling.sampler", "consistency.kind",
      else: "sampling.sampler consistency needs a consistency.kind other than none")
    let changed = sampling.changed
    for (name, samplers) in SamplingSettings.special {
      require(
        samplers.contains(sampling.sampler) || !changed.contains(name),
        of: "sampling.sampler", "sampling.\(name)",
        else: "sampling.\(name) is for sampler "
          + "\(samplers.map(\.rawValue).joined(separator: " or ")) only")
    }
    for (path, property) in Self.stages {
      let stage = training[keyPath: property]
      require(
        stage.epochs == nil || stage.steps == nil,
        of: "\(path).epochs", "\(path).steps",
        else: "\(path) must give epochs or steps, not both")
      require(
        stage.epochs != nil || stage.steps != nil,
        of: "\(path).epochs", "\(path).steps",
        else: "\(path) must give epochs or steps")
    }
    return conflicts
  }
}
