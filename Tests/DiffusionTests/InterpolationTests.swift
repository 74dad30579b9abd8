import Diffusion
import Foundation
import Testing

@Suite("Interpolation")
struct InterpolationTests {
  @Test("both ends are returned bit for bit, -0 included")
  func ends() {
    let (x, y) = ([-0.0, 0.1, 3.7], [1e300, -0.0, 0.3])
    for way in [lerp, slerp] as [([Double], [Double], Double) -> [Double]] {
      #expect(way(x, y, 0).map(\.bitPattern) == x.map(\.bitPattern))
      #expect(way(x, y, 1).map(\.bitPattern) == y.map(\.bitPattern))
    }
  }

  @Test("orthogonal noises: slerp keeps the norm, lerp's midpoint has 0.7071 of it")
  func orthogonal() {
    let (x, y) = ([1.0, 0], [0, 1.0])
    for fraction in stride(from: 0.0, through: 1, by: 0.125) {
      let angle = fraction * .pi / 2
      expect("slerp", slerp(x, y, fraction), is: [cos(angle), sin(angle)], within: 1e-15)
      expect("lerp", lerp(x, y, fraction), is: [1 - fraction, fraction], within: 0)
    }
    expect("lerp", lerp(x, y, 0.5).norm, is: 0.7071, within: 5e-5)
  }

  @Test("independent noises: slerp keeps the norm within 1 %")
  func independent() {
    let count = 50_000
    var numbers = NormalNumbers(state: 3)
    let (x, y) = (numbers.vector(count), numbers.vector(count))
    let unit = Double(count).squareRoot()
    for fraction in [0.1, 0.25, 0.5, 0.9] {
      expect("slerp", slerp(x, y, fraction).norm / unit, is: 1, within: 0.01)
    }
    expect("lerp", lerp(x, y, 0.5).norm / unit, is: 0.7071, within: 0.01)
  }

  @Test(
    "unit vectors at any angle: the point on the circle",
    arguments: [1e-9, 1e-7, 1e-3, 1, 2, 3, Double.pi - 1e-3])
  func anyAngle(angle: Double) {
    let (x, y) = ([1.0, 0], [cos(angle), sin(angle)])
    for fraction in [0.1, 0.5, 0.8] {
      expect(
        "fraction \(fraction)", slerp(x, y, fraction),
        is: [cos(fraction * angle), sin(fraction * angle)], within: 1e-12)
    }
  }

  @Test("parallel, opposite and zero vectors go straight, without a NaN")
  func straight() {
    let x = [1.0, -2, 0.5]
    for y in [x, x.map { 3 * $0 }, x.map { -$0 }, x.map { -2 * $0 }, [0, 0, 0]] {
      expect("x to \(y)", slerp(x, y, 0.25), is: lerp(x, y, 0.25), within: 1e-12)
      expect("\(y) to x", slerp(y, x, 0.25), is: lerp(y, x, 0.25), within: 1e-12)
    }
    #expect(slerp([0.0, 0], [0.0, 0], 0.5) == [0, 0])
  }

  @Test("lerp is exact on latents of any scale")
  func latents() {
    #expect(lerp([2.0, -4], [4, 4], 0.25) == [2.5, -2])
    #expect(lerp(1.0, 3.0, 0.5) == 2)
  }
}
