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
    out.append(contentsOf: ",\"timestamp\":\"\(rfc3339(ms: timestampMs))\",\"data\":".utf8)
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

  /// RFC 3339 in UTC with milliseconds. Days to a date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  static func rfc3339(ms: Int64) -> String {
    let days = ms.flooredQuotient(86_400_000)
    let inDay = ms - days * 86_400_000
    let shifted = days + 719_468
    let era = shifted.flooredQuotient(146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    let seconds = inDay / 1000
    let time = "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
    return "\(date)T\(time).\(padded(inDay % 1000, 3))Z"
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension Int64 {
  /// The quotient rounded towards minus infinity.
  fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}
