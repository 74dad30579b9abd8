/// What a stage tells while it trains: the progress on stderr, and a line in the metrics every few
/// steps with the means since the line before.
struct StageLog {
  private let stage: Stage
  private let title: String
  private let names: [String]
  private let total: Int
  private let batch: Int
  private let metrics: Metrics
  private var progress: Progress
  private var sums: [Double]
  private var count = 0
  private let interludes: Interludes
  private var seen = (interludes: 0, seconds: 0.0)

  /// What comes between updates: a checkpoint, a look at held-out images, a grid. How long one takes is a
  /// guess until one was seen.
  struct Interludes {
    /// In the whole stage, evenly spread; the last is after its last update.
    var count: Int
    /// Images that could be trained on in the time of a look and a grid.
    var images: Double
    /// Bytes of a checkpoint.
    var bytes: Int
  }

  /// Bytes in a second that are checked, written and synced.
  private static let diskRate = 3e8

  /// - Parameter title: the stage as people read it.
  init<Goal: Objective>(
    _ run: Run, _ stage: Stage, _ trainer: Trainer<Goal>, title: String, interludes: Interludes
  ) throws {
    self.interludes = interludes
    (self.stage, self.title) = (stage, title)
    names = trainer.objective.terms + ["norm"]
    total = trainer.totalSteps
    batch = trainer.settings.batch
    metrics = try Metrics(run, resuming: stage, at: trainer.step)
    progress = Progress(firstStep: trainer.step)
    sums = [Double](repeating: 0, count: names.count)
  }

  /// Takes note of one update; `step` and `epoch` are those after it.
  mutating func record(_ terms: [Double], norm: Double, rate: Double, step: Int, epoch: Double)
    throws
  {
    sums = zip(sums, terms + [norm]).map { $0 + $1 }
    count += 1
    let means = sums.map { $0 / Double(count) }
    let (title, names, total) = (title, names, total)
    let more = secondsOfInterludes(after: step)
    progress.show(step: step, total: total, batch: batch, more: more) {
      let numbers = zip(names, means).map { "\($0) \($1.digits(abs($1) < 10 ? 4 : 2))" }
      return "\(title)  step \(step)/\(total)  epoch \(epoch.digits(1))  "
        + numbers.joined(separator: "  ")
    }
    // Some fifty lines a stage, and one at least every fifty steps.
    guard step % max(1, min(50, total / 50)) == 0 || step == total else { return }
    try append(
      "", names, means, step: step,
      [
        "epoch": epoch, "rate": rate, "images_per_second": progress.rate(step: step, batch: batch),
        "seconds": progress.seconds,
        "seconds_left": progress.remaining(step: step, total: total) + more,
      ])
    sums = sums.map { _ in 0 }
    count = 0
  }

  private func secondsOfInterludes(after step: Int) -> Double {
    let left = max(0, interludes.count - 1 - step * interludes.count / total)
    let each =
      seen.interludes > 0
      ? seen.seconds / Double(seen.interludes)
      : interludes.images / progress.rate(step: step, batch: batch)
        + Double(interludes.bytes) / Self.diskRate
    return Double(left) * each
  }

  /// Takes note of how long an interlude was.
  mutating func recordInterlude(_ duration: Duration) {
    progress.rest += duration / .seconds(1)
    seen = (seen.interludes + 1, progress.rest)
  }

  /// Takes note of the loss's terms on images of a held-out set, such as `test`.
  func record(_ terms: [Double], of set: String, step: Int) throws {
    try append("\(set)_", names, terms, step: step, [:])
  }

  private func append(
    _ prefix: String, _ names: [String], _ values: [Double], step: Int, _ more: [String: Double]
  ) throws {
    var numbers = more
    for (name, value) in zip(names, values) { numbers[prefix + name] = value }
    try metrics.append(stage: stage, step: step, numbers)
  }

  /// Ends the live line, so that other text can follow.
  func pause() { progress.pause() }
}
