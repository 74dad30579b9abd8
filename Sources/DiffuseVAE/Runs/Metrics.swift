import Formats
import Foundation

#if TensorBoard
  import EventFiles
#endif

/// `metrics.jsonl`: one JSON object a line, appended as training goes on. With the package's trait
/// `TensorBoard` the same goes to an event file, too, where the stage is a group of names.
struct Metrics {
  /// Names of losses: of training, and of the images of two sets by the averaged weights.
  static let losses = ["loss", "validation_loss", "test_loss"]

  let path: String
  private let handle: FileHandle
  #if TensorBoard
    private let events: EventFile
  #endif

  /// A line.
  struct Entry {
    let stage: Stage
    /// Updates that were made.
    let step: Int
    /// All that is a number, by its name; the step, too.
    let numbers: [String: Double]

    /// Of a line. JSONSerialization would read numbers of 17 digits by way of decimals, and not to their
    /// last bits.
    private struct Value: Decodable {
      let number: Double?
      let text: String?

      init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        number = try? value.decode(Double.self)
        text = try? value.decode(String.self)
      }
    }

    /// Nil for what is none.
    init?(_ line: some Collection<UInt8>) {
      guard let entry = try? JSONDecoder().decode([String: Value].self, from: Data(line)),
        let step = (entry["step"]?.number).flatMap({ Int(exactly: $0) }),
        let stage = (entry["stage"]?.text).flatMap(Stage.init)
      else { return nil }
      (self.stage, self.step) = (stage, step)
      numbers = entry.compactMapValues(\.number)
    }
  }

  /// All lines of a run that are whole; none where it has not begun.
  static func entries(of run: Run) throws -> [Entry] {
    let bytes = run.has(run.metricsFile) ? try File.read(run.metricsFile) : []
    return bytes.split(separator: UInt8(ascii: "\n")).compactMap { Entry($0) }
  }

  /// What a stage came to: what its lines say last of everything; but of held-out images what they say of
  /// the weights that are kept, those of the least validation loss, if there is one.
  static func outcome(_ entries: [Entry], of stage: Stage) -> [String: Double] {
    let own = entries.filter { $0.stage == stage }
    let losses = own.compactMap { entry in entry.numbers["validation_loss"].map { (entry.step, $0) }
    }
    var outcome = own.reduce(into: [:]) { $0.merge($1.numbers) { $1 } }
    guard let (best, _) = losses.min(by: { $0.1 < $1.1 }) else { return outcome }
    for entry in own where entry.step == best {
      let heldOut = entry.numbers.filter {
        $0.key.hasPrefix("validation_") || $0.key.hasPrefix("test_")
      }
      outcome.merge(heldOut) { $1 }
    }
    return outcome
  }

  /// Opens the file of a run, and drops lines of `stage` that lie after `step`: on resuming, those
  /// steps are made again.
  init(_ run: Run, resuming stage: Stage, at step: Int) throws {
    path = run.metricsFile
    let newline = UInt8(ascii: "\n")
    let bytes = run.has(path) ? try File.read(path) : []
    let kept = bytes.split(separator: newline).filter { line in
      guard let entry = Entry(line) else { return false }
      return entry.stage != stage || entry.step <= step
    }
    try File.writeAtomically(kept.flatMap { $0 + [newline] }, to: path)
    guard let handle = FileHandle(forWritingAtPath: path) else {
      throw FileError(file: path, problem: "cannot be written")
    }
    do {
      try handle.seekToEnd()
    } catch {
      throw FileError(file: path, problem: "cannot be written", error)
    }
    self.handle = handle
    #if TensorBoard
      do {
        events = try EventFile(in: run.folder, ending: stage.rawValue)
      } catch {
        throw FileError(
          file: run.folder + "/events.out.tfevents", problem: "cannot be written", error)
      }
    #endif
  }

  /// Appends one line; numbers as they are, names in alphabetical order.
  func append(stage: Stage, step: Int, _ numbers: [String: Double]) throws {
    let numbers = numbers.filter { $0.value.isFinite }
    #if TensorBoard
      do {
        let names = numbers.map { ("\(stage.rawValue)/\($0)", $1) }
        try events.append(step: step, Dictionary(uniqueKeysWithValues: names))
      } catch {
        throw FileError(file: events.path, problem: "cannot be written", error)
      }
    #endif
    var entry: [String: Any] = numbers
    entry["stage"] = stage.rawValue
    entry["step"] = step
    do {
      let line = try JSONSerialization.data(withJSONObject: entry, options: [.sortedKeys])
      try handle.write(contentsOf: line + Data("\n".utf8))
    } catch {
      throw FileError(file: path, problem: "cannot be written", error)
    }
  }
}
