import Foundation

/// The state of a training on stderr: one live line on a terminal, else a line every ten seconds.
package struct Progress {
  /// Whether lines can be written over. There is no colour in them, whatever NO_COLOR says.
  private let isTerminal =
    isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private let firstStep: Int
  private var shown: ContinuousClock.Instant
  /// Seconds that went into something else than steps.
  package var rest = 0.0

  package init(firstStep: Int) {
    self.firstStep = firstStep
    start = clock.now
    shown = start - .seconds(60)
  }

  /// Since this progress began.
  package var seconds: Double { seconds(since: start) }

  private func seconds(since instant: ContinuousClock.Instant) -> Double {
    (clock.now - instant) / .seconds(1)
  }

  /// Images trained on in a second, while there were steps.
  func rate(step: Int, batch: Int) -> Double {
    Double((step - firstStep) * batch) / max(seconds - rest, 1e-9)
  }

  /// Seconds that the steps after `step` will take.
  func remaining(step: Int, total: Int) -> Double {
    (seconds - rest) / Double(max(step - firstStep, 1)) * Double(total - step)
  }

  /// Shows the state unless it was shown a moment ago.
  ///
  /// - Parameters:
  ///   - more: seconds that something else than steps will take.
  ///   - line: is made only when it is shown.
  package mutating func show(
    step: Int, total: Int, batch: Int, more: Double = 0, _ line: () -> String
  ) {
    let last = step == total
    guard last || seconds(since: shown) >= (isTerminal ? 0.2 : 10) else { return }
    shown = clock.now
    let remaining = remaining(step: step, total: total) + more
    let rate = Int(rate(step: step, batch: batch).rounded())
    let time = last ? "took \(seconds.asTime)" : "\(remaining.asTime) left"
    let memory = MachineMemory.resident.map { "  \($0.asMemory)" } ?? ""
    write(line(), "  \(rate) images/s\(memory)  \(time)", stays: last)
  }

  /// - Parameter end: what a narrow terminal shows, too.
  private func write(_ text: String, _ end: String, stays: Bool) {
    guard isTerminal else { return StandardError.write(text + end + "\n") }
    var size = winsize()
    let fits = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0
    let width = fits && size.ws_col > 0 ? Int(size.ws_col) - 1 : 79
    let line = text.prefix(max(0, width - end.count)) + end
    StandardError.write("\r\u{1B}[K\(line.prefix(width))\(stays ? "\n" : "")")
  }

  /// Ends the live line, so that other text can follow.
  package func pause() {
    if isTerminal { StandardError.write("\r\u{1B}[K") }
  }
}

extension Double {
  /// Seconds as people say them: `7 s`, `3 min 05 s`, `2 h 10 min`.
  var asTime: String {
    let seconds = Int(Swift.max(0, Swift.min(self, 1e9)).rounded())
    func padded(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
    if seconds < 60 { return "\(seconds) s" }
    if seconds < 3600 { return "\(seconds / 60) min \(padded(seconds % 60)) s" }
    return "\(seconds / 3600) h \(padded(seconds / 60 % 60)) min"
  }

  /// With so many digits after the point.
  package func digits(_ count: Int) -> String { String(format: "%.\(count)f", self) }
}
