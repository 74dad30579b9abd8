/// The transforms of Winograd's F(2×2, 3×3) (Lavin & Gray 2016, arXiv 1509.09308, §4.1) between
/// NHWC maps and matrices of tiles, and their transposes, of which derivatives are made.
///
/// A map is covered by tiles of 2×2 outputs, each of which depends on 4×4 inputs. The matrix of the
/// tiles is a stack of 16 matrices `[tiles, channels]`, one for each place of the 4×4. Outside of
/// the map everything is zero.
///
/// Pointers, because compilers do not vectorise loops over so many streams. They stay in this file;
/// what they point at is checked before they are made.
struct WinogradTiles: Sendable {
  let map: MapShape
  /// A multiple of ``lanes``.
  let channels: Int

  /// Channels that are worked on at once.
  static let lanes = 8

  /// Tiles side by side, and lines of them in one map.
  var across: Int { (map.width + 1) / 2 }
  var down: Int { (map.height + 1) / 2 }

  /// `V = Bᵀ d B`: the 4×4 inputs of every tile.
  ///
  /// - Parameters:
  ///   - x: maps, `[batch·height·width, channels]`
  ///   - lines: of tiles, counted through all maps.
  ///   - v: `[16·tiles, channels]`
  func gather(_ x: [Float], _ lines: Range<Int>, into v: inout [Float]) {
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: x.count, lines, tiles: v.count)
    // Bᵀ d of a line of tiles, beside a border of one pixel; and a line of zeros.
    var strips = [Float](repeating: 0, count: 4 * strip + size)
    withPointers(x, &strips, &v) { x, strips, v in
      for (number, line) in lines.enumerated() {
        @inline(__always) func d(_ row: Int) -> UnsafePointer<Float> {
          mapLine(line, row - 1).map { x + $0 } ?? UnsafePointer(strips + 4 * strip)
        }
        let (d0, d1, d2, d3, to) = (d(0), d(1), d(2), d(3), strips + channels)
        for i in stride(from: 0, to: size, by: Self.lanes) {
          let (a, b, c, d) = (d0.vector(i), d1.vector(i), d2.vector(i), d3.vector(i))
          to.set(i, a - c)
          to.set(strip + i, b + c)
          to.set(2 * strip + i, c - b)
          to.set(3 * strip + i, b - d)
        }
        for tile in 0..<across {
          for row in 0..<4 {
            let from = strips + row * strip + 2 * tile * channels
            let to = v + 4 * row * place + (number * across + tile) * channels
            for i in stride(from: 0, to: channels, by: Self.lanes) {
              let (a, b) = (from.vector(i), from.vector(channels + i))
              let (c, d) = (from.vector(2 * channels + i), from.vector(3 * channels + i))
              to.set(i, a - c)
              to.set(place + i, b + c)
              to.set(2 * place + i, c - b)
              to.set(3 * place + i, b - d)
            }
          }
        }
      }
    }
  }

  /// Adds `B V Bᵀ` to the maps: the transpose of ``gather(_:_:into:)``.
  func scatter(_ v: [Float], _ lines: Range<Int>, to x: inout [Float]) {
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: x.count, lines, tiles: v.count)
    var strips = [Float](repeating: 0, count: 4 * strip)
    withPointers(v, &strips, &x) { v, strips, x in
      for (number, line) in lines.enumerated() {
        strips.update(repeating: 0, count: 4 * strip)
        for tile in 0..<across {
          for row in 0..<4 {
            let from = v + 4 * row * place + (number * across + tile) * channels
            let to = strips + row * strip + 2 * tile * channels
            for i in stride(from: 0, to: channels, by: Self.lanes) {
              let (a, b) = (from.vector(i), from.vector(place + i))
              let (c, d) = (from.vector(2 * place + i), from.vector(3 * place + i))
              to.add(i, a)
              to.add(channels + i, b - c + d)
              to.add(2 * channels + i, b + c - a)
              to.set(3 * channels + i, -d)
            }
          }
        }
        let from = strips + channels
        for row in 0..<4 {
          guard let to = mapLine(line, row - 1).map({ x + $0 }) else { continue }
          for i in stride(from: 0, to: size, by: Self.lanes) {
            switch row {
            case 0: to.add(i, from.vector(i))
            case 1:
              to.add(
                i,
                from.vector(strip + i) - from.vector(2 * strip + i) + from.vector(3 * strip + i))
            case 2: to.add(i, from.vector(strip + i) + from.vector(2 * strip + i) - from.vector(i))
            default: to.add(i, -from.vector(3 * strip + i))
            }
          }
        }
      }
    }
  }

  /// `Aᵀ M A + bias`: the 2×2 outputs of every tile.
  ///
  /// - Parameters:
  ///   - m: `[16·tiles, channels]`
  ///   - bias: one number for every channel.
  ///   - y: maps, `[batch·height·width, channels]`
  func assemble(_ m: [Float], plus bias: [Float], _ lines: Range<Int>, into y: inout [Float]) {
    let (across, channels) = (across, channels)
    let (_, place) = check(maps: y.count, lines, tiles: m.count)
    precondition(bias.count == channels, "\(bias.count) biases of \(channels) channels")
    // The bias, and a place for outputs outside of the map.
    var extra = bias + [Float](repeating: 0, count: channels)
    withPointers(m, &extra, &y) { m, extra, y in
      for (number, line) in lines.enumerated() {
        for tile in 0..<across {
          let from = m + (number * across + tile) * channels
          let corner = corners(line, tile)
          @inline(__always) func output(_ i: Int) -> UnsafeMutablePointer<Float> {
            corner[i] < 0 ? extra + channels : y + corner[i]
          }
          let (y00, y01, y10, y11) = (output(0), output(1), output(2), output(3))
          for i in stride(from: 0, to: channels, by: Self.lanes) {
            // Rows of M A, two numbers each.
            @inline(__always) func half(_ row: Int) -> (Vector, Vector) {
              let from = from + (4 * row * place + i)
              let (b, c) = (from.vector(place), from.vector(2 * place))
              return (from.vector(0) + b + c, b - c - from.vector(3 * place))
            }
            let (a, b, c, d) = (half(0), half(1), half(2), half(3))
            let bias = UnsafePointer(extra).vector(i)
            y00.set(i, a.0 + b.0 + c.0 + bias)
            y01.set(i, a.1 + b.1 + c.1 + bias)
            y10.set(i, b.0 - c.0 - d.0 + bias)
            y11.set(i, b.1 - c.1 - d.1 + bias)
          }
        }
      }
    }
  }

  /// `M = A y Aᵀ`: the transpose of ``assemble(_:plus:_:into:)`` without its bias.
  func spread(_ y: [Float], _ lines: Range<Int>, into m: inout [Float]) {
    let (across, channels) = (across, channels)
    let (_, place) = check(maps: y.count, lines, tiles: m.count)
    var zeros = [Float](repeating: 0, count: channels)
    withPointers(y, &zeros, &m) { y, zeros, m in
      let zeros = UnsafePointer(zeros)
      for (number, line) in lines.enumerated() {
        for tile in 0..<across {
          let to = m + (number * across + tile) * channels
          let corner = corners(line, tile)
          @inline(__always) func output(_ i: Int) -> UnsafePointer<Float> {
            corner[i] < 0 ? zeros : y + corner[i]
          }
          let (y00, y01, y10, y11) = (output(0), output(1), output(2), output(3))
          for i in stride(from: 0, to: channels, by: Self.lanes) {
            let (a, b, c, d) = (y00.vector(i), y01.vector(i), y10.vector(i), y11.vector(i))
            @inline(__always) func setRow(_ row: Int, _ a: Vector, _ b: Vector) {
              let to = to + (4 * row * place + i)
              to.set(0, a)
              to.set(place, a + b)
              to.set(2 * place, a - b)
              to.set(3 * place, -b)
            }
            setRow(0, a, b)
            setRow(1, a + c, b + d)
            setRow(2, a - c, b - d)
            setRow(3, -c, -d)
          }
        }
      }
    }
  }

  /// Where line `2 i + offset` of the map begins in the batch, i being the place of a line of tiles
  /// in its map; nil outside.
  private func mapLine(_ line: Int, _ offset: Int) -> Int? {
    let (image, i) = line.quotientAndRemainder(dividingBy: down)
    let row = 2 * i + offset
    guard row >= 0, row < map.height else { return nil }
    return (image * map.height + row) * map.width * channels
  }

  /// Where a tile's four outputs are in the batch, line by line; -1 for those outside of the map.
  private func corners(_ line: Int, _ tile: Int) -> SIMD4<Int> {
    let (upper, lower, left) = (mapLine(line, 0), mapLine(line, 1), 2 * tile * channels)
    let hasRight = 2 * tile + 1 < map.width
    func corner(_ line: Int?, _ isThere: Bool, _ offset: Int) -> Int {
      guard let line, isThere else { return -1 }
      return line + offset
    }
    return SIMD4(
      corner(upper, true, left), corner(upper, hasRight, left + channels),
      corner(lower, true, left), corner(lower, hasRight, left + channels))
  }

  /// Refuses arrays that do not belong together.
  ///
  /// - Returns: numbers in a line of tiles' inputs, and in one of the 16 matrices of tiles.
  private func check(maps: Int, _ lines: Range<Int>, tiles: Int) -> (strip: Int, place: Int) {
    let place = lines.count * across * channels
    precondition(
      channels.isMultiple(of: Self.lanes) && maps.isMultiple(of: map.pixels * channels)
        && lines.lowerBound >= 0 && lines.upperBound * map.pixels * channels <= maps * down
        && tiles == 16 * place, "tiles of other maps")
    return ((2 * across + 2) * channels, place)
  }
}

private typealias Vector = SIMD8<Float>

extension UnsafePointer<Float> {
  @inline(__always) fileprivate func vector(_ i: Int) -> Vector {
    UnsafeRawPointer(self + i).loadUnaligned(as: Vector.self)
  }
}

extension UnsafeMutablePointer<Float> {
  @inline(__always) fileprivate func vector(_ i: Int) -> Vector { UnsafePointer(self).vector(i) }

  @inline(__always) fileprivate func set(_ i: Int, _ v: Vector) {
    UnsafeMutableRawPointer(self + i).storeBytes(of: v, as: Vector.self)
  }

  @inline(__always) fileprivate func add(_ i: Int, _ v: Vector) { set(i, vector(i) + v) }
}

/// Pointers to an array that is read and two that are written.
private func withPointers(
  _ a: [Float], _ b: inout [Float], _ c: inout [Float],
  _ body: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
) {
  a.withUnsafeBufferPointer { a in
    b.withUnsafeMutableBufferPointer { b in
      c.withUnsafeMutableBufferPointer { c in
        guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
        body(a, b, c)
      }
    }
  }
}
