import CMosquitto
import Glibc

/// libmosquitto's process-wide state and the words it is translated into.
enum Library {
  /// Initialised once per process, never cleaned up: connections come and go until the end.
  static let ready: Bool = mosquitto_lib_init() == MOSQ_ERR_SUCCESS.code

  /// The words for a CONNACK code of either version.
  ///
  /// Mosquitto answers a wrong password with "not authorised", so that line names both.
  static func refusal(_ code: Int32) -> String {
    switch code {
    case 4, 0x86: "bad username or password"
    case 5, 0x87: "not authorised: bad username or password, or this client is not allowed"
    case 1, 0x84: "protocol version not supported by the broker"
    case 2, 0x85: "client id not allowed"
    case 3, 0x88: "broker not available"
    default: reason(code)
    }
  }

  /// The words for an MQTT 5 reason code.
  static func reason(_ code: Int32) -> String {
    String(cString: mosquitto_reason_string(code)).lowercased()
  }

  /// The words for a return code of the library; `system` is errno as it was right after the call.
  static func failure(_ code: Int32, system: Int32) -> String {
    switch code {
    case MOSQ_ERR_ERRNO.code: system == 0 ? "the connection broke" : systemText(system)
    case MOSQ_ERR_CONN_LOST.code: "the broker closed the connection"
    case MOSQ_ERR_KEEPALIVE.code: "the broker did not answer a ping"
    default: firstLowercased(String(cString: mosquitto_strerror(code)))
    }
  }

  /// The words for an errno.
  static func systemText(_ code: Int32) -> String { firstLowercased(String(cString: strerror(code))) }

  /// The words of an OpenSSL line in the library's log: what follows the last colon, or the line without its label.
  static func tlsText(_ line: String) -> String {
    if line.hasPrefix("OpenSSL Error"), let colon = line.lastIndex(of: ":") {
      return line[line.index(after: colon)...].drop { $0 == " " }.lowercased()
    }
    let text = line.hasPrefix("Error: ") ? String(line.dropFirst(7)) : line
    return firstLowercased(text.hasSuffix(".") ? String(text.dropLast()) : text)
  }

  private static func firstLowercased(_ text: String) -> String {
    let trimmed = text.hasSuffix(".") ? text.dropLast() : text[...]
    return trimmed.prefix(1).lowercased() + trimmed.dropFirst()
  }
}

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

/// Milliseconds since 1970.
func wallMilliseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
}
