import ArgumentParser
import Evaluation

/// Which options go together.
extension Evaluate {
  func validate() throws {
    guard count.map(Reference.counts.contains) ?? true else {
      throw ValidationError("--count is \(count ?? 0); it must be in \(Reference.counts)")
    }
    guard config == nil || chosen.run == nil && (fit || samples != nil) else {
      throw ValidationError("--config is for --fit and --samples, and not together with --run")
    }
    guard
      samples == nil
        || count == nil && steps == nil && prior.isEmpty && sampler.isEmpty
          && likelihoods.isEmpty
    else {
      throw ValidationError(
        "--samples takes no --count, --steps, --prior, --likelihood or sampler's option")
    }
    guard
      config == nil || samples != nil
        || count == nil && steps == nil && prior.isEmpty && sampler.isEmpty && out == nil
    else {
      throw ValidationError("--config with --fit alone trains a classifier and measures nothing")
    }
    guard config == nil || likelihoods.isEmpty else {
      throw ValidationError("--likelihood is of a run, not of a --config")
    }
    guard samples == nil && config == nil || stage == .all && importance == nil && corrupt == nil
    else { throw ValidationError("--stage, --importance and --corrupt are for a run") }
    guard stage != .vae || steps == nil && sampler.isEmpty && likelihoods.isEmpty else {
      throw ValidationError("--stage vae takes no --steps, no sampler and no --likelihood")
    }
    guard edits.isEmpty || stage != .vae && samples == nil && config == nil else {
      throw ValidationError("--edits are of a run's refined images")
    }
    guard paths == nil || stage != .vae && samples == nil && config == nil else {
      throw ValidationError("--paths are of a run's refined images")
    }
    guard stage != .refined || prior.count < 2 else {
      throw ValidationError("--stage refined takes one --prior: it does not show the VAE alone")
    }
    guard importance.map((1...1_000_000).contains) ?? true else {
      throw ValidationError("--importance is \(importance ?? 0); it must be in 1...1000000")
    }
    for (name, path) in [("--extractors", extractors), ("--out", out)] where path == "" {
      throw ValidationError("\(name) must name a folder")
    }
  }
}
