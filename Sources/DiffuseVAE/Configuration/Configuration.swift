import Formats

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
  public var prior = PriorSettings()
  public var diffusion = DiffusionSettings()
  public var denoiser = DenoiserSettings()
  public var consistency = ConsistencySettings()
  public var training = TrainingSettings()
  public var sampling = SamplingSettings()

  /// The defaults.
  public init() {}

  /// Reads a YAML file, then changes what `overrides`, such as `vae.latent=16`, say.
  ///
  /// Finds all problems of both before it throws.
  ///
  /// - Throws: ``ConfigurationError``, or `FileError`.
  public init(
    file path: String, overriding overrides: [String] = []
  ) throws {
    var findings = Findings()
    let source = Place(source: 0, name: path)
    var bytes: [UInt8] = []
    do {
      // A little more than is allowed, so that the reader notices.
      bytes = try File.read(path, limit: 4 * YAMLReader.largestSize)
    } catch let error as FileError where error.isMistake {
      findings.report(error.sentence, at: source, about: "")
    } catch let error as FormatError {
      findings.report(error.problem, at: source, about: "")
    }
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

  /// Whether a training by this is one by the other: how images are drawn, how often it is saved, and what
  /// follows where it cannot go on, matters to none.
  func trains(like other: Configuration) -> Bool {
    var other = other
    other.sampling = sampling
    other.training.checkpointSteps = training.checkpointSteps
    other.training.checkpoints = training.checkpoints
    other.training.onNonfinite = training.onNonfinite
    return self == other
  }

  /// The first setting that differs from another configuration's, such as `vae.latent`; nil if none
  /// does.
  func firstDifference(from other: Configuration) -> String? {
    differences(from: other).first?.setting
  }

  /// The settings that differ from another configuration's, with both values.
  func differences(from other: Configuration) -> [(setting: String, own: String, other: String)] {
    var path: [Substring] = []
    var found: [(setting: String, own: String, other: String)] = []
    func value(_ line: Substring) -> String {
      String(line.drop { $0 != ":" }.drop { $0 == ":" || $0 == " " })
    }
    // Every configuration has the same lines but for the values.
    for (line, theirs) in zip(yaml.split(separator: "\n"), other.yaml.split(separator: "\n")) {
      let depth = line.prefix { $0 == " " }.count / 2
      path = path.prefix(depth) + [line.drop { $0 == " " }.prefix { $0 != ":" }]
      if line != theirs { found.append((path.joined(separator: "."), value(line), value(theirs))) }
    }
    return found
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
      Field("prior", \.prior, "where new latents come from"),
      Field("diffusion", \.diffusion, "the second stage's process"),
      Field("denoiser", \.denoiser, "the second stage's network"),
      Field(
        "consistency", \.consistency, "a model that samples in a step, made of the second stage"),
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
    let problems = findings.messages
    guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
  }

  /// `vae.latent=16` as the document `vae: {latent: 16}`.
  private static func override(
    _ item: String, at place: Place, _ findings: inout Findings
  ) -> YAML? {
    guard let equals = item.firstIndex(of: "=") else {
      findings.report("write it as setting=value", at: place, about: "")
      return nil
    }
    // No setting is deeper than a few blocks, and a value must not be so either.
    let path = item[..<equals]
      .split(separator: ".", maxSplits: 4, omittingEmptySubsequences: false)
    let text = item[item.index(after: equals)...]
    let value = YAMLReader.read(Array(text.utf8), at: place, &findings)
    let nothing = YAML(content: .scalar("", plain: true), place: place)
    return path.reversed().reduce(value ?? nothing) { value, key in
      YAML(content: .mapping([(String(key), place, value)]), place: place)
    }
  }
}
