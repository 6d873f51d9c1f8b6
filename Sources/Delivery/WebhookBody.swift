import VitalModel

/// The JSON bodies of webhooks, written once when the outbox row is made.
package enum WebhookBody {
  /// `{"type":…,"timestamp":…,"data":…}` around an already serialised document.
  ///
  /// - Parameters:
  ///   - timestampMs: when the transition was decided, in milliseconds since 1970.
  ///   - data: one complete JSON value; copied as it is.
  package static func standard(type: String, timestampMs: Int64, data: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(data.count + 96)
    out.append(contentsOf: "{\"type\":".utf8)
    appendString(type, to: &out)
    out.append(contentsOf: ",\"timestamp\":\"\(Timestamp.format(timestampMs))\",\"data\":".utf8)
    out.append(contentsOf: data)
    out.append(UInt8(ascii: "}"))
    return out
  }

  /// The same envelope with ids only: nothing in it says who the patient is or what is wrong.
  package static func thin(type: String, timestampMs: Int64, alertID: String, sequence: Int) -> [UInt8] {
    var data = Array("{\"alert_id\":".utf8)
    appendString(alertID, to: &data)
    data.append(contentsOf: ",\"sequence\":\(sequence)}".utf8)
    return standard(type: type, timestampMs: timestampMs, data: data)
  }

  private static func appendString(_ text: String, to out: inout [UInt8]) {
    let hex = Array("0123456789abcdef".utf8)
    out.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        out.append(UInt8(ascii: "\\"))
        out.append(byte)
      case 0..<0x20:
        out.append(contentsOf: "\\u00".utf8)
        out.append(hex[Int(byte >> 4)])
        out.append(hex[Int(byte & 15)])
      default:
        out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}
