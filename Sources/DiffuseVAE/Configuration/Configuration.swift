import Foundation

/// Everything that decides an experiment, as a paper's table of settings.
///
/// ```yaml
/// data: {set: mnist}
/// vae: {hidden: [512], latent: 16}
/// training:
///   denoiser: {epochs: 15}
/// ```
/// What a file does not give keeps its default; `Configuration.reference` lists all settings.
public struct Configuration: Equatable, Sendable {
  public var data = DataSettings()
  public var vae = VAESettings()
  public var diffusion = DiffusionSettings()
  public var denoiser = DenoiserSettings()
  public var training = TrainingSettings()
  public var sampling = SamplingSettings()

  /// The defaults.
  public init() {}

  /// Reads a YAML file, then changes what `overrides`, such as `vae.latent=16`, say.
  ///
  /// Finds all problems of both before it throws.
  public init(
    file path: String, overriding overrides: [String] = []
  ) throws(ConfigurationError) {
    var findings = Findings()
    let source = Place(source: 0, name: path)
    let bytes = Self.bytes(ofFile: path, at: source, &findings)
    try self.init(bytes, at: source, overriding: overrides, &findings)
  }

  /// Reads a YAML text as if it were the file `name`.
  public init(
    yaml text: String, name: String, overriding overrides: [String] = []
  ) throws(ConfigurationError) {
    var findings = Findings()
    let source = Place(source: 0, name: name)
    try self.init(Array(text.utf8), at: source, overriding: overrides, &findings)
  }

  /// Every setting, one a line. It reads as an equal configuration.
  public var yaml: String {
    entries.map { $0.yaml() }.joined(separator: "\n")
  }

  /// Every setting, its default, what is allowed and what it is for: a table in Markdown.
  public static var reference: String {
    "| setting | default | allowed | purpose |\n|---|---|---|---|\n"
      + Configuration().entries.map { $0.rows() }.joined()
  }
}

/// Why a configuration cannot be used: every reason, and where in the text it stands.
public struct ConfigurationError: Error, CustomStringConvertible {
  /// Each `file:line:column: …`, with line and column from 1, or `--set item: …`.
  public let problems: [String]

  public var description: String { problems.joined(separator: "\n") }
}

extension Configuration: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field("data", \.data, "the images to learn"),
      Field("vae", \.vae, "the first stage's model"),
      Field("diffusion", \.diffusion, "the second stage's process"),
      Field("denoiser", \.denoiser, "the second stage's network"),
      Field("training", \.training, "how both stages are trained"),
      Field("sampling", \.sampling, "how images are drawn"),
    ]
  }
}

// MARK: - Reading

extension Configuration {
  private init(
    _ bytes: [UInt8], at source: Place, overriding overrides: [String], _ findings: inout Findings
  ) throws(ConfigurationError) {
    if let yaml = YAMLReader.read(bytes, at: source, &findings) {
      overlay(yaml, "", &findings)
    }
    for (index, item) in overrides.enumerated() {
      let place = Place(source: index + 1, name: "--set \(item)")
      if let yaml = Self.override(item, at: place, &findings) {
        overlay(yaml, "", &findings)
      }
    }
    settle(findings.given)
    for conflict in conflicts {
      findings.report(conflict.problem, between: conflict.settings, in: source)
    }
    guard findings.messages.isEmpty else {
      throw ConfigurationError(problems: findings.messages)
    }
  }

  /// `vae.latent=16` as the document `vae: {latent: 16}`.
  private static func override(
    _ item: String, at place: Place, _ findings: inout Findings
  ) -> YAML? {
    guard let equals = item.firstIndex(of: "=") else {
      findings.report("write it as setting=value", at: place, about: "")
      return nil
    }
    let path = item[..<equals].split(separator: ".", omittingEmptySubsequences: false)
    let text = item[item.index(after: equals)...]
    let value = YAMLReader.read(Array(text.utf8), at: place, &findings)
    let nothing = YAML(content: .scalar("", plain: true), place: place)
    return path.reversed().reduce(value ?? nothing) { value, key in
      YAML(content: .mapping([(String(key), place, value)]), place: place)
    }
  }

  private static func bytes(
    ofFile path: String, at source: Place, _ findings: inout Findings
  ) -> [UInt8] {
    var isFolder: ObjCBool = false
    let problem: String
    if !FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
      problem = "there is no such file"
    } else if isFolder.boolValue {
      problem = "a folder, not a file"
    } else if let file = FileHandle(forReadingAtPath: path),
      // One byte more than is allowed, so that the reader notices.
      let bytes = try? file.read(upToCount: YAMLReader.largestSize + 1)
    {
      return Array(bytes)
    } else {
      problem = "cannot be read"
    }
    findings.report(problem, at: source, about: "")
    return []
  }
}

// MARK: - Settings that depend on each other

extension Configuration {
  private static let stages = [
    ("training.vae", \TrainingSettings.vae), ("training.denoiser", \TrainingSettings.denoiser),
  ]

  /// Lets what was given replace a default, or something given earlier, that excludes it.
  private mutating func settle(_ given: [String: Place]) {
    if given["diffusion.condition"] == nil {
      diffusion.condition = diffusion.formulation != .unconditional
    }
    for (path, stage) in Self.stages {
      guard training[keyPath: stage].epochs != nil, training[keyPath: stage].steps != nil else {
        continue
      }
      let epochs = given["\(path).epochs"]?.source ?? -1
      let steps = given["\(path).steps"]?.source ?? -1
      if epochs < steps { training[keyPath: stage].epochs = nil }
      if steps < epochs { training[keyPath: stage].steps = nil }
    }
  }

  private var conflicts: [(settings: [String], problem: String)] {
    var conflicts: [(settings: [String], problem: String)] = []
    func require(_ isMet: Bool, _ settings: String..., else problem: String) {
      if !isMet { conflicts.append((settings, problem)) }
    }

    require(
      diffusion.formulation != .concat || diffusion.condition,
      "diffusion.formulation", "diffusion.condition",
      else: "diffusion.condition must be true with formulation concat; without x̂0 it is none")
    require(
      diffusion.formulation != .unconditional || !diffusion.condition,
      "diffusion.formulation", "diffusion.condition",
      else: "diffusion.condition must be false with formulation none")
    require(
      sampling.steps <= diffusion.steps, "sampling.steps", "diffusion.steps",
      else: "sampling.steps, \(sampling.steps), must not exceed diffusion.steps, \(diffusion.steps)")
    require(
      sampling.sampler == .ddim || sampling.eta == 0, "sampling.sampler", "sampling.eta",
      else: "sampling.eta is for sampler ddim only")
    require(
      sampling.sampler == .ddpm || sampling.variance == .small,
      "sampling.sampler", "sampling.variance",
      else: "sampling.variance is for sampler ddpm only")
    for (path, stage) in Self.stages {
      let (epochs, steps) = (training[keyPath: stage].epochs, training[keyPath: stage].steps)
      require(
        epochs == nil || steps == nil, "\(path).epochs", "\(path).steps",
        else: "\(path) must give epochs or steps, not both")
      require(
        epochs != nil || steps != nil, "\(path).epochs", "\(path).steps",
        else: "\(path) must give epochs or steps")
    }
    return conflicts
  }
}
