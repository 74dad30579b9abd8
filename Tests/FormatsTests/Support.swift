import CImage
import Foundation
import Testing

@testable import Formats

/// The message of the `FormatError` or `FileError` that `body` throws, "" if it throws none or another one.
func problem<T>(_ body: () throws -> T) -> String {
  do {
    _ = try body()
    return ""
  } catch let error as FormatError {
    return error.description
  } catch let error as FileError {
    return error.description
  } catch {
    return ""
  }
}

/// SplitMix64: the same damage in every run.
struct FixedGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// `bytes` damaged in one of the ways that files are: bits flipped, bytes overwritten with telling
/// values or digits, cut short, a piece lost, a piece doubled.
func damaged(_ bytes: [UInt8], _ generator: inout FixedGenerator) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
    // Half of the damage goes to the front, where headers are.
    let front = Bool.random(using: &generator) ? min(bytes.count, 128) : bytes.count
    let place = Int.random(in: 0..<front, using: &generator)
    let end = min(bytes.count, place + Int.random(in: 1...16, using: &generator))
    switch Int.random(in: 0..<6, using: &generator) {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
    case 2: bytes[place] = Array("019-.,:\"\\[{}]eu'".utf8).randomElement(using: &generator) ?? 0
    case 3: bytes.removeSubrange(place...)
    case 4: bytes.removeSubrange(place..<end)
    default: bytes.insert(contentsOf: bytes[place..<end], at: place)
    }
  }
  return bytes
}

/// Decodes what `make` makes, time and again: each must be decoded or refused with a `FormatError`,
/// while a trap ends the test run. Returns how many were refused.
@discardableResult
func fuzz<T>(
  times: Int, seed: UInt64, decode: ([UInt8]) throws -> T,
  make: (inout FixedGenerator) -> [UInt8]
) -> Int {
  var generator = FixedGenerator(state: seed)
  var refused = 0
  for _ in 0..<times {
    do {
      _ = try decode(make(&generator))
    } catch {
      #expect(error is FormatError)
      refused += 1
    }
  }
  return refused
}

/// Decodes damaged copies of `bytes` in that way.
@discardableResult
func fuzz<T>(_ bytes: [UInt8], times: Int, seed: UInt64, decode: ([UInt8]) throws -> T) -> Int {
  fuzz(times: times, seed: seed, decode: decode) { damaged(bytes, &$0) }
}

/// `bytes` compressed by zlib: with the frame of gzip, or of zlib as PNG has it.
func deflated(_ bytes: [UInt8], gzip: Bool = true) -> [UInt8] {
  var stream = z_stream()
  var bytes = bytes
  let windowBits = gzip ? 16 + MAX_WBITS : MAX_WBITS
  deflateInit2_(
    &stream, 9, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
    Int32(MemoryLayout<z_stream>.size))
  var result = [UInt8](repeating: 0, count: Int(deflateBound(&stream, uLong(bytes.count))))
  let capacity = result.count
  bytes.withUnsafeMutableBufferPointer { source in
    result.withUnsafeMutableBufferPointer { target in
      stream.next_in = source.baseAddress
      stream.avail_in = uInt(source.count)
      stream.next_out = target.baseAddress
      stream.avail_out = uInt(capacity)
      #expect(deflate(&stream, Z_FINISH) == Z_STREAM_END)
    }
  }
  deflateEnd(&stream)
  return Array(result.prefix(capacity - Int(stream.avail_out)))
}

/// Calls `body` with the path of a new folder, which is removed afterwards.
func withFolder(_ body: (String) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.path + "/formats-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}

extension ByteImages {
  var shape: [Int] { [count, height, width, channels] }
}
