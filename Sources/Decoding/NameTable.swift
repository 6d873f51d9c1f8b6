import Glibc
import VitalModel

/// Every name of a ``VitalRegistry`` behind one hash of bytes, so that an observation's code is found without a `String`.
///
/// Answers exactly as ``VitalRegistry/lookup(_:)``: built from its names, and text outside ASCII is handed to it.
struct NameTable {
  struct Meaning: BitwiseCopyable {
    var code: VitalCode
    /// Position in ``VitalDefinition/units`` the name implies; -1: none.
    var unit: Int16
  }

  private struct Entry: BitwiseCopyable {
    var hash: UInt64 = 0
    var offset: UInt32 = 0
    /// 0: free.
    var length: UInt32 = 0
    var meaning = Meaning(code: VitalCode(index: 0), unit: -1)
  }

  private let registry: VitalRegistry
  private var entries: [Entry]
  private var text: [UInt8] = []
  private let mask: Int

  init(_ registry: VitalRegistry) {
    self.registry = registry
    let names = registry.allNames.filter { name in !name.isEmpty && name.utf8.allSatisfy { $0 < 0x80 } }
    // At most a third full, so that a miss ends after one or two probes.
    var capacity = 64
    while capacity < names.count * 3 { capacity *= 2 }
    mask = capacity - 1
    entries = Array(repeating: Entry(), count: capacity)
    for name in names {
      guard let found = registry.lookup(name) else { continue }
      insert(name, Meaning(code: found.code, unit: Int16(clamping: found.unit)))
    }
  }

  private mutating func insert(_ name: String, _ meaning: Meaning) {
    let bytes = Array(name.utf8)
    let hash = bytes.withUnsafeBytes { NameTable.hash($0) } ?? 0
    var position = Int(truncatingIfNeeded: hash) & mask
    while entries[position].length != 0 { position = (position + 1) & mask }
    entries[position] = Entry(
      hash: hash, offset: UInt32(text.count), length: UInt32(bytes.count), meaning: meaning)
    text += bytes
  }

  /// FNV-1a of the lower-cased bytes; nil if one is outside ASCII.
  @inline(__always)
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var all: UInt8 = 0
    for byte in bytes {
      all |= byte
      hash = (hash ^ UInt64(lowered(byte))) &* 0x100_0000_01b3
    }
    // The low bits choose the slot: mix the high ones in.
    return all < 0x80 ? hash ^ (hash >> 32) : nil
  }

  @inline(__always)
  private static func lowered(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

  /// What a name means, whatever its case.
  func lookup(_ name: UnsafeRawBufferPointer) -> Meaning? {
    guard let hash = NameTable.hash(name) else {
      return registry.lookup(String(decoding: name, as: UTF8.self))
        .map { Meaning(code: $0.code, unit: Int16(clamping: $0.unit)) }
    }
    var position = Int(truncatingIfNeeded: hash) & mask
    while entries[position].length != 0 {
      let entry = entries[position]
      if entry.hash == hash, Int(entry.length) == name.count, equals(entry, name) { return entry.meaning }
      position = (position + 1) & mask
    }
    return nil
  }

  @inline(__always)
  private func equals(_ entry: Entry, _ name: UnsafeRawBufferPointer) -> Bool {
    text.withUnsafeBufferPointer { text in
      for index in 0..<name.count where text[Int(entry.offset) + index] != NameTable.lowered(name[index]) {
        return false
      }
      return true
    }
  }
}
