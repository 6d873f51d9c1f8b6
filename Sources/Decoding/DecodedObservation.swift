import VitalModel

/// A sensor's name inside a sample: at most 32 bytes of `a-z 0-9 _ -`, held in place so that a sample needs no allocation.
package struct SourceText: Hashable, Sendable, BitwiseCopyable {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  /// Bytes, 0...32.
  package private(set) var count: UInt8 = 0

  /// No source given.
  package init() {}

  /// Lower-cases letters.
  ///
  /// - Returns: nil if the text is empty, longer than 32 bytes or holds another character.
  package init?(_ text: UnsafeRawBufferPointer) {
    guard (1...32).contains(text.count) else { return nil }
    var valid = true
    withUnsafeMutableBytes(of: &words) { target in
      for index in 0..<text.count {
        var byte = text[index]
        switch byte {
        case 0x41...0x5A: byte |= 0x20
        case 0x61...0x7A, 0x30...0x39, 0x5F, 0x2D: break
        default: valid = false
        }
        target[index] = byte
      }
    }
    guard valid else { return nil }
    count = UInt8(text.count)
  }

  package init?(_ text: String) {
    var copy = text
    guard let source = copy.withUTF8({ SourceText(UnsafeRawBufferPointer($0)) }) else { return nil }
    self = source
  }

  package var isEmpty: Bool { count == 0 }

  /// The bytes, valid inside `body` only.
  package func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    withUnsafeBytes(of: words) { body(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)])) }
  }

  package var string: String { withBytes { String(decoding: $0, as: UTF8.self) } }

  package static func == (a: SourceText, b: SourceText) -> Bool { a.words == b.words && a.count == b.count }
  package func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }

  /// Some total order, for grouping.
  static func precedes(_ a: SourceText, _ b: SourceText) -> Bool { a.words < b.words }
}

/// Bytes in ``MessageDecoder/text``; empty: none.
package struct TextRange: Hashable, Sendable, BitwiseCopyable {
  package var offset: UInt32 = 0
  package var count: UInt32 = 0
  package init() {}
  package var isEmpty: Bool { count == 0 }
}

/// One accepted observation: credible, of a known code, in an accepted unit.
package struct DecodedObservation: Hashable, Sendable {
  package var code: VitalCode
  /// Position in ``VitalDefinition/units``.
  package var unit: UInt8
  package var status: SampleStatus
  package var flags: SampleFlags
  package var quality: SampleQuality
  /// The number exactly as received.
  package var value: DecimalValue
  /// Milliseconds since 1970, within ``Timestamp/accepted``.
  package var eventTime: Int64
  /// The device's own number of the message; meaningful with ``SampleFlags/hasSequence``.
  package var sequence: Int64
  package var source: SourceText
  /// The message's `"patient"`, for `identity: payload` only.
  package var patient: TextRange

  /// The observation as it enters the ring; device, patient and series numbers and the source's number are the caller's.
  package func slot(receivedAt: Int64) -> Slot {
    var slot = Slot()
    slot.kind = .sample
    slot.status = status
    slot.flags = flags
    slot.code = code
    slot.unit = unit
    slot.value = value
    slot.quality = quality
    slot.eventTime = eventTime
    slot.ingestTime = receivedAt
    slot.deviceSequence = sequence
    return slot
  }
}

/// Bytes that were not accepted, and why: one row of the quarantine.
package struct Refusal: Hashable, Sendable {
  package var reason: QuarantineReason
  /// How many observations the row covers, at least 1: a broken payload counts as one, a refused message as many as its
  /// `observations` has elements.
  package var observationCount: Int
  /// The refused part as a payload of its own, with what its message says about it and nothing that was accepted beside
  /// it. Decoded again with the same arrival it meets the same refusal, except half of an `inconsistent` pair, which a
  /// person may so re-submit alone, and what lay behind the count limits. For a whole payload its exact bytes, of an oversize one the first
  /// ``DecodingLimits/oversizeBytesKept``.
  package var raw: [UInt8]
  /// ``raw`` is (the beginning of) the whole payload.
  package var isWholePayload: Bool
  /// The vital concerned, where it was known.
  package var code: VitalCode?
}

/// A diastolic at or above the systolic of the same message, time and source (SEMANTICS A8); both are refused.
package struct InconsistentPressure: Hashable, Sendable, BitwiseCopyable {
  package var systolic: VitalCode
  package var diastolic: VitalCode
  /// Milliseconds since 1970.
  package var eventTime: Int64
  package var patient: TextRange
}

/// What the status channel says.
package struct DeviceState: Hashable, Sendable {
  package var isOnline: Bool
  /// A last will other than `online` or `offline`, at most ``DecodingLimits/freeTextBytesMax`` bytes.
  package var text: String?
  /// Milliseconds since 1970; receive time if the payload named none.
  package var time: Int64
  /// The payload named no time.
  package var timeReceived: Bool
}

/// A device's own alarm (SEMANTICS A11).
package struct DeviceEvent: Hashable, Sendable {
  package enum Phase: String, Sendable {
    case start
    case end
  }

  /// Registry key or MDC reference id or number, as received, at most 128 bytes.
  package var event: String
  package var phase: Phase
  /// nil: none given, or a word that is none of ours; an alarm is never refused for its priority.
  package var priority: Priority?
  package var deviceAlertID: String?
  package var text: String?
  /// Milliseconds since 1970.
  package var time: Int64
  package var flags: SampleFlags
  /// Meaningful with ``SampleFlags/hasSequence``.
  package var sequence: Int64
  package var patient: TextRange
}
