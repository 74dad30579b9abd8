import Formats
import Foundation

/// One training run: a folder.
///
///     config.yaml            the configuration, every setting written out
///     vae.safetensors        the finished first stage (averaged weights)
///     prior.safetensors      what z is drawn from, unless z ~ N(0, I)
///     latents.json           what the latents of the training images are like
///     denoiser.safetensors   the finished second stage (averaged weights)
///     consistency.safetensors  the finished consistency model (averaged weights), if one is wanted
///     state/                 of an unfinished stage the last checkpoints, and the weights of the least
///                            validation loss, if images are held out for it
///     metrics.jsonl          one line of losses every few steps
///     samples/               grids of images drawn on the way
///     command.txt, environment.json                     how it was made
///     metrics.csv, losses.svg, summary.json, report.html  what it came to, see ``summarise()``
public struct Run: Sendable {
  public let folder: String

  /// What to type to go on with it.
  public var resumption: String { "swift run diffusevae-train --resume \(quotedFolder)" }

  /// What to type to sample from it.
  public var sampling: String { "swift run diffusevae-sample --run \(quotedFolder)" }

  private var quotedFolder: String { Self.quoted(folder) }

  /// A word as a shell takes it.
  static func quoted(_ word: String) -> String {
    !word.isEmpty && word.allSatisfy { isPlain($0) || "/=".contains($0) }
      ? word : "'\(word.replacing("'", with: #"'\''"#))'"
  }

  public var name: String { URL(fileURLWithPath: folder).lastPathComponent }
  var configurationFile: String { folder + "/config.yaml" }
  var metricsFile: String { folder + "/metrics.jsonl" }
  var latentsFile: String { folder + "/latents.json" }
  func weightsFile(_ stage: Stage) -> String { "\(folder)/\(stage.rawValue).safetensors" }
  func gridFile(_ stage: Stage, step: Int) -> String {
    let digits = String(step)
    let padded = String(repeating: "0", count: max(0, 7 - digits.count)) + digits
    return "\(folder)/samples/\(stage.rawValue)-\(padded).png"
  }

  func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  /// Which stages are finished.
  public func isFinished(_ stage: Stage) -> Bool { has(weightsFile(stage)) }

  public func configuration() throws -> Configuration {
    try Configuration(file: configurationFile)
  }

  /// Whether there is everything that sampling needs.
  public var isComplete: Bool {
    guard let configuration = try? configuration() else { return false }
    return configuration.stages.allSatisfy(isFinished)
  }

  /// Makes the folder of a new run.
  ///
  /// - Parameters:
  ///   - runs: the folder of all runs; made if need be.
  ///   - name: an error if it is taken. When nil, `stem`, or `stem-2`, `stem-3`, …
  public static func create(
    in runs: String, name: String?, stem: String, _ configuration: Configuration
  ) throws -> Run {
    let stem = plain(stem)
    if let name, !name.allSatisfy(isPlain) || name.isEmpty || "-.".contains(name.prefix(1)) {
      throw UserError(
        "\(name.debugDescription) cannot name a run: use letters, digits, '_', '-' and '.'")
    }
    try makeFolder(runs)
    var run = Run(folder: "\(runs)/\(name ?? stem)")
    var number = 2
    // mkdir itself says whether the name was free: another process may be looking for one, too.
    while mkdir(run.folder, 0o777) != 0 {
      guard errno == EEXIST else {
        throw FileError(file: run.folder, problem: "the folder cannot be made")
      }
      guard name == nil else {
        let hint =
          run.has(run.configurationFile)
          ? "or go on with --resume \(run.name)" : "or remove it: it is no run"
        throw UserError("\(run.folder) is there already: use another --name, \(hint)")
      }
      run = Run(folder: "\(runs)/\(stem)-\(number)")
      number += 1
    }
    do {
      try run.makeFolders()
      try File.writeAtomically(Array(configuration.yaml.utf8), to: run.configurationFile)
    } catch {
      try? FileManager.default.removeItem(atPath: run.folder)
      throw error
    }
    return run
  }

  /// A name as a run can have it.
  static func plain(_ name: String) -> String { String(name.map { isPlain($0) ? $0 : "-" }) }

  private static func isPlain(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "_-.".contains(character))
  }

  /// Makes the folders inside a run, where they are not there.
  func makeFolders() throws {
    for part in ["state", "samples"] { try makeFolder("\(folder)/\(part)") }
  }

  /// A run by its name under `runs`, or by its path.
  public static func open(_ name: String, in runs: String) throws -> Run {
    for folder in ["\(runs)/\(name)", name] {
      let run = Run(folder: folder)
      if run.has(run.configurationFile) { return run }
    }
    throw UserError(
      "\(runs)/\(name): no such run; \(hint(all(in: runs).map(\.name), in: runs))")
  }

  /// The run that was worked on last among those that meet a condition.
  public static func newest(
    in runs: String, _ what: String, where condition: (Run) -> Bool
  ) throws -> Run {
    let candidates = all(in: runs)
    guard let run = candidates.filter(condition).max(by: { $0.lastChange < $1.lastChange }) else {
      throw UserError(
        "\(runs): no run that \(what) here; \(hint(candidates.map(\.name), in: runs))")
    }
    return run
  }

  /// The run to draw images from: a named one, or the newest complete one.
  public static func toSample(_ name: String?, in runs: String) throws -> Run {
    if let name { return try open(name, in: runs) }
    return try newest(in: runs, "is complete") { $0.isComplete }
  }

  static func hint(_ names: [String], in runs: String) -> String {
    names.isEmpty
      ? "train one with diffusevae-train --config configs/digits.yaml"
      : "there are \(names.sorted().joined(separator: ", "))"
  }

  static func all(in runs: String) -> [Run] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: runs)) ?? []
    return names.map { Run(folder: "\(runs)/\($0)") }.filter { $0.has($0.configurationFile) }
  }

  var lastChange: Date {
    let files = [configurationFile, metricsFile] + Stage.allCases.map(weightsFile)
    return files.compactMap {
      try? FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date
    }.max() ?? .distantPast
  }
}

/// The parts of a training in their order, by the names of their files: the two stages, the prior
/// on z between them, and the consistency model that is made of the second.
public enum Stage: String, Sendable, CaseIterable {
  case vae
  case prior
  case denoiser
  case consistency

  /// A seed for each, so that they share no random numbers.
  func seed(_ seed: UInt64) -> UInt64 {
    let number: UInt64 =
      switch self {
      case .vae: 0
      case .denoiser: 1
      case .prior: 2
      case .consistency: 3
      }
    return seed &+ number &* 0x9E37_79B9_7F4A_7C15
  }
}
