import CImage

@testable import Formats

/// A PNG file with the checksum of every chunk made right: else damage would hardly get past them.
func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  var place = PNG.signature.count
  while place + 12 <= bytes.count {
    let length = Int(bigEndian(bytes[place..<place + 4]))
    guard length <= bytes.count - place - 12 else { break }
    let end = place + 8 + length
    let checked = Array(bytes[place + 4..<end])
    let crc = UInt32(crc32(0, checked, uInt(checked.count)))
    withUnsafeBytes(of: crc.bigEndian) { bytes.replaceSubrange(end..<end + 4, with: $0) }
    place = end + 4
  }
  return bytes
}
