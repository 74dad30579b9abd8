/// Maps of half the height and width: of every 2×2 square the largest number of each channel.
///
/// What sticks out of a map of odd size does not count, so that n lines become ⌈n/2⌉.
public struct MaxPool2: Layer {
  /// The size of the input.
  let map: MapShape

  public var output: MapShape { map.thinned(by: 2) }

  public init(_ map: MapShape) { self.map = map }

  /// y[i, j] = max x[2i + di, 2j + dj] for di, dj in {0, 1}
  ///
  /// - Returns: `y`, and for each of its numbers which of the four it was, 2 di + dj; of equal ones
  ///   the first.
  public func forward(_ x: Matrix) -> (y: Matrix, residuals: [Int32]) {
    var y = Matrix(map.batch(of: x) * output.pixels, x.columns)
    var choices = [Int32](repeating: 0, count: y.elements.count)
    choose(x.elements, &y.elements, &choices, channels: x.columns)
    return (y, choices)
  }

  /// dx is dy where x was chosen, and 0 elsewhere.
  public func backward(
    _ dy: Matrix, _ choices: [Int32], _ gradients: inout Gradients
  ) -> Matrix {
    var dx = Matrix(output.batch(of: dy) * map.pixels, dy.columns)
    spread(dy.elements, choices, &dx.elements, channels: dy.columns)
    return dx
  }

  public func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}

  private func choose(
    _ x: [Float], _ y: inout [Float], _ choices: inout [Int32], channels: Int
  ) {
    let pixels = y.count / max(channels, 1)
    let x = x.span
    var y = y.mutableSpan
    var choices = choices.mutableSpan
    for pixel in 0..<pixels {
      let (a, b, c, d) = square(pixel, channels)
      let to = pixel * channels
      for i in 0..<channels {
        var (best, choice) = (x[a + i], Int32(0))
        if x[b + i] > best { (best, choice) = (x[b + i], 1) }
        if x[c + i] > best { (best, choice) = (x[c + i], 2) }
        if x[d + i] > best { (best, choice) = (x[d + i], 3) }
        y[to + i] = best
        choices[to + i] = choice
      }
    }
  }

  private func spread(_ dy: [Float], _ choices: [Int32], _ dx: inout [Float], channels: Int) {
    precondition(choices.count == dy.count)
    let pixels = dy.count / max(channels, 1)
    let (dy, choices) = (dy.span, choices.span)
    var dx = dx.mutableSpan
    for pixel in 0..<pixels {
      let (a, b, c, d) = square(pixel, channels)
      let from = pixel * channels
      for i in 0..<channels { dx[a + i] += choices[from + i] == 0 ? dy[from + i] : 0 }
      for i in 0..<channels { dx[b + i] += choices[from + i] == 1 ? dy[from + i] : 0 }
      for i in 0..<channels { dx[c + i] += choices[from + i] == 2 ? dy[from + i] : 0 }
      for i in 0..<channels { dx[d + i] += choices[from + i] == 3 ? dy[from + i] : 0 }
    }
  }

  /// Where the four pixels begin that an output pixel, counted through all maps, is chosen from.
  /// One that would be outside is replaced by its neighbour inside, which as the later of two equal
  /// numbers is never chosen in its stead.
  @inline(__always)
  private func square(_ pixel: Int, _ channels: Int) -> (Int, Int, Int, Int) {
    let (line, j) = pixel.quotientAndRemainder(dividingBy: output.width)
    let (image, i) = line.quotientAndRemainder(dividingBy: output.height)
    let first = ((image * map.height + 2 * i) * map.width + 2 * j) * channels
    let right = 2 * j + 1 < map.width ? channels : 0
    let below = 2 * i + 1 < map.height ? map.width * channels : 0
    return (first, first + right, first + below, first + below + right)
  }
}
