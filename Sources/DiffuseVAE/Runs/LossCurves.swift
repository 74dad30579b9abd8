import RealModule

/// The losses of a run as pictures, SVG.
struct LossCurves {
  /// Each stage's losses while it trained, and those of held-out images.
  private let panels: [(title: String, curves: [(name: String, points: [(x: Double, y: Double)])])]

  private static let (width, height, left, bottom, top) = (720.0, 260.0, 64.0, 34.0, 28.0)

  init(_ entries: [Metrics.Entry]) {
    panels = Stage.allCases.compactMap { stage in
      let curves = Metrics.losses.map { name in
        let points = entries.filter { $0.stage == stage }.compactMap { entry in
          entry.numbers[name].map { (x: Double(entry.step), y: $0) }
        }
        return (name: name, points: points)
      }.filter { !$0.points.isEmpty }
      return curves.isEmpty ? nil : (stage.rawValue, curves)
    }
  }

  var svg: String {
    let height = Self.height * Double(max(1, panels.count))
    let parts = panels.enumerated().map {
      Self.panel($1.title, $1.curves, y: Double($0) * Self.height)
    }
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.width.digits(0)) \(height.digits(0))" \
      font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="white"/>
      \(parts.joined(separator: "\n"))
      </svg>

      """
  }

  private static func panel(
    _ title: String, _ curves: [(name: String, points: [(x: Double, y: Double)])], y offset: Double
  ) -> String {
    let points = curves.flatMap(\.points)
    let last = max(1, points.map(\.x).max() ?? 1)
    // What the first weights give would leave no room for the rest.
    let settled = points.filter { $0.x >= 0.05 * last }.map(\.y).sorted()
    var (low, high) = (settled.first ?? 0, settled.last ?? 1)
    if high - low < 1e-9 * max(1, abs(high)) { (low, high) = (low - 0.5, high + 0.5) }
    (low, high) = (low - 0.05 * (high - low), high + 0.05 * (high - low))

    func x(_ step: Double) -> Double { left + (width - left - 16) * step / last }
    func y(_ loss: Double) -> Double {
      let share = (min(max(loss, low), high) - low) / (high - low)
      return offset + top + (height - top - bottom) * (1 - share)
    }
    var lines = [
      "<text x=\"\(left.digits(0))\" y=\"\((offset + 18).digits(0))\" font-weight=\"bold\">\(title)</text>"
    ]
    for tick in ticks(low, high) {
      let place = y(tick.value).digits(1)
      lines.append(
        """
        <line x1="\(left.digits(0))" x2="\((width - 16).digits(0))" y1="\(place)" y2="\(place)" stroke="#ddd"/>\
        <text x="\((left - 6).digits(0))" y="\((y(tick.value) + 4).digits(1))" text-anchor="end">\(tick.text)</text>
        """)
    }
    for tick in ticks(0, last) {
      lines.append(
        """
        <text x="\(x(tick.value).digits(1))" y="\((offset + height - bottom + 18).digits(1))" \
        text-anchor="middle">\(tick.text)</text>
        """)
    }
    for (number, curve) in curves.enumerated() {
      let colour = colour(of: curve.name)
      let path = curve.points.map { "\(x($0.x).digits(1)),\(y($0.y).digits(1))" }
      lines.append(
        """
        <polyline points="\(path.joined(separator: " "))" fill="none" stroke="\(colour)" stroke-width="1.5"/>\
        <text x="\((width - 16 - 110 * Double(number)).digits(0))" y="\((offset + 18).digits(0))" \
        text-anchor="end" fill="\(colour)">\(curve.name)</text>
        """)
    }
    // A line of one point is none.
    for curve in curves where curve.points.count <= 20 {
      let colour = colour(of: curve.name)
      lines += curve.points.map {
        "<circle cx=\"\(x($0.x).digits(1))\" cy=\"\(y($0.y).digits(1))\" r=\"2.5\" fill=\"\(colour)\"/>"
      }
    }
    return lines.joined(separator: "\n")
  }

  private static func colour(of name: String) -> String {
    switch name {
    case "test_loss": "#c4541b"
    case "validation_loss": "#3a7d34"
    default: "#1b6ca8"
    }
  }

  /// Round numbers between two, some five of them.
  static func ticks(_ low: Double, _ high: Double) -> [(value: Double, text: String)] {
    let rough = (high - low) / 5
    guard rough.isFinite, rough > 0 else { return [] }
    let power = Double.exp10(Double.log10(rough).rounded(.down))
    let step = power * ([1, 2, 5, 10].first { $0 * power >= rough } ?? 10)
    let digits = max(0, Int(-Double.log10(step).rounded(.down)))
    let first = (low / step).rounded(.up)
    return (0...10).map { (first + Double($0)) * step }.filter { $0 <= high }.map {
      ($0, $0.digits(digits))
    }
  }
}
