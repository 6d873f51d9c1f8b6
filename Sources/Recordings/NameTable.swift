import Glibc

/// Texts and their numbers, counted from 0 in order of first use. Looking up bytes that are known allocates nothing.
package final class NameTable {
  /// The texts by number.
  @exclusivity(unchecked) package private(set) var texts: [String] = []
  @exclusivity(unchecked) private var bytes: [UInt8] = []
  @exclusivity(unchecked) private var ends: [Int] = []
  /// Open addressing, power of two, at most half full; number + 1, 0 is free.
  @exclusivity(unchecked) private var slots = [UInt32](repeating: 0, count: 64)
  @exclusivity(unchecked) private var last = UInt32.max

  package init() {}

  package var count: Int { texts.count }

  package subscript(number: UInt32) -> String { texts[Int(number)] }

  package func number(of text: String) -> UInt32 {
    var copy = text
    return copy.withUTF8 { number(of: UnsafeRawBufferPointer($0)) }
  }

  /// The number of `text`, a new one if it is new. Neighbouring rows mostly ask for the same text, which is answered
  /// first.
  package func number(of text: UnsafeRawBufferPointer) -> UInt32 {
    if last != .max {
      if matches(Int(last), text) { return last }
      // Rows of several patients in turn ask for the one after.
      let following = Int(last) + 1 < texts.count ? last + 1 : 0
      if matches(Int(following), text) {
        last = following
        return following
      }
    }
    var slot = hash(text) & (slots.count - 1)
    while slots[slot] != 0 {
      let candidate = slots[slot] - 1
      if matches(Int(candidate), text) {
        last = candidate
        return candidate
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    precondition(texts.count < Int(UInt32.max) - 1)
    let number = UInt32(texts.count)
    texts.append(String(decoding: text, as: UTF8.self))
    bytes.append(contentsOf: text)
    ends.append(bytes.count)
    slots[slot] = number + 1
    if texts.count * 2 > slots.count { grow() }
    last = number
    return number
  }

  private func range(_ number: Int) -> Range<Int> { (number == 0 ? 0 : ends[number - 1])..<ends[number] }

  private func matches(_ number: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    let range = range(number)
    guard range.count == text.count else { return false }
    guard let start = text.baseAddress, !range.isEmpty else { return true }
    return bytes.withUnsafeBufferPointer { memcmp($0.baseAddress! + range.lowerBound, start, range.count) == 0 }
  }

  /// FNV-1a. The order of slots never shows: numbers are given in order of first use.
  private func hash(_ text: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: (hash ^ (hash >> 29)) & 0x7FFF_FFFF)
  }

  private func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    for number in texts.indices {
      var slot = bytes.withUnsafeBytes { hash(UnsafeRawBufferPointer(rebasing: $0[range(number)])) } & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(number) + 1
    }
  }
}
