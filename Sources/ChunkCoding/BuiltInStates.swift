/// The set of start states in the program, number 1: trained on the simulator's wards only.
enum BuiltInStates {
  /// The set, unpacked once.
  static let set: StartStates = {
    do throws(ChunkError) {
      return try StartStates(bytes: bytes(ofBase64: text))
    } catch {
      preconditionFailure("the built-in start states are damaged: \(error)")
    }
  }()

  /// Bytes of base 64 text without padding; spaces and line ends are skipped.
  private static func bytes(ofBase64 text: StaticString) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8CodeUnitCount * 3 / 4)
    var word: UInt32 = 0
    var bits: UInt32 = 0
    text.withUTF8Buffer { characters in
      for character in characters {
        guard let digit = digit(character) else { continue }
        word = word << 6 | digit
        bits += 6
        guard bits >= 8 else { continue }
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: word >> bits))
      }
    }
    return bytes
  }

  private static func digit(_ character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character) - 65
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character) - 71
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character) + 4
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}

extension StartStates {
  /// Set 1: in the program, trained on the simulator's wards.
  package static var builtIn: StartStates { BuiltInStates.set }
}
