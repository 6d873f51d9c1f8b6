import CCurl
import Glibc

/// One libcurl handle of one receiver, set up once and used for one attempt after the other, so that connections and
/// TLS sessions are kept. Belongs to the delivery thread.
final class WebhookTransfer {
  /// At most this much of a response is read; a longer one ends the connection.
  static let responseBytesMax = 64 * 1024
  /// At most this much of it is kept for the service.
  static let answerBytesMax = 4 * 1024

  let receiver: Receiver
  let easy: UnsafeMutableRawPointer
  private(set) var attempt: DeliverySchedule.Attempt?
  private(set) var startedWallMs: Int64 = 0
  private var headers: UnsafeMutablePointer<curl_slist>?
  fileprivate var responseBytes = 0
  fileprivate var kept: [UInt8] = []
  fileprivate var addressRefused = false
  /// What a proxy connects to is not seen here; the proxy itself was named by whoever configured it.
  fileprivate var allowsAnyAddress: Bool { receiver.allowPrivate || receiver.proxy != nil }

  init?(receiver: Receiver) {
    guard let easy = curl_easy_init() else { return nil }
    self.receiver = receiver
    self.easy = easy
    guard configure() else { return nil }
  }

  deinit {
    curl_easy_cleanup(easy)
    curl_slist_free_all(headers)
  }

  /// Settings that hold for every attempt.
  private func configure() -> Bool {
    let me = Unmanaged.passUnretained(self).toOpaque()
    var results = [
      vigil_curl_set_string(easy, CURLOPT_URL, receiver.url),
      vigil_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https"),
      vigil_curl_set_string(easy, CURLOPT_USERAGENT, "vigil/1"),
      // Nothing from the environment: the address guard must see the receiver's own address.
      vigil_curl_set_string(easy, CURLOPT_PROXY, receiver.proxy ?? ""),
      vigil_curl_set_string(easy, CURLOPT_NOPROXY, ""),
      // HTTP/2 where TLS offers it, else 1.1; requests wait for a connection being opened rather than open another, so
      // that they can share it.
      vigil_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS)),
      vigil_curl_set_long(easy, CURLOPT_PIPEWAIT, receiver.url.lowercased().hasPrefix("https:") ? 1 : 0),
      vigil_curl_set_long(easy, CURLOPT_POST, 1),
      vigil_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0),
      vigil_curl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
      vigil_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 1),
      vigil_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 2),
      vigil_curl_set_long(easy, CURLOPT_NOSIGNAL, 1),
      vigil_curl_set_long(easy, CURLOPT_TCP_NODELAY, 1),
      vigil_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1),
      vigil_curl_set_long(easy, CURLOPT_TIMEOUT_MS, receiver.timeoutMs),
      vigil_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, min(receiver.timeoutMs, 5_000)),
      vigil_curl_set_pointer(easy, CURLOPT_PRIVATE, me),
      vigil_curl_set_write(easy, takeResponse, me),
      vigil_curl_set_opensocket(easy, openGuardedSocket, me),
      vigil_curl_set_prereq(easy, checkConnection, me),
    ]
    if let authority = receiver.authority {
      results.append(vigil_curl_set_string(easy, CURLOPT_CAINFO, authority))
      // Else the system's folder would still be believed beside it.
      results.append(vigil_curl_set_string(easy, CURLOPT_CAPATH, nil))
    }
    if let certificate = receiver.certificate, let key = receiver.key {
      results.append(vigil_curl_set_string(easy, CURLOPT_SSLCERT, certificate))
      results.append(vigil_curl_set_string(easy, CURLOPT_SSLKEY, key))
    }
    if receiver.proxy != nil {
      results.append(vigil_curl_set_long(easy, CURLOPT_PROXY_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)))
      // For http:// too: the proxy is asked for a connection, never for a page.
      results.append(vigil_curl_set_long(easy, CURLOPT_HTTPPROXYTUNNEL, 1))
    }
    return results.allSatisfy { $0 == CURLE_OK }
  }

  /// Loads one attempt: body, signature at this time, headers. Returns false when memory or an option fails, or when
  /// the id could break out of its header or out of the signed text.
  func load(_ attempt: DeliverySchedule.Attempt, wallMs: Int64) -> Bool {
    unload()
    self.attempt = attempt
    startedWallMs = wallMs
    let item = attempt.item
    guard item.webhookID.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ".") }),
      Self.isValue(item.contentType), item.headers.allSatisfy({ Self.isName($0.name) && Self.isValue($0.value) })
    else { return false }
    let timestamp = wallMs / 1000
    let body = receiver.routingKey?.completing(item.body) ?? item.body
    var lines = [
      "Content-Type: \(item.contentType)",
      "webhook-id: \(item.webhookID)",
      "webhook-timestamp: \(timestamp)",
      // An empty Expect keeps libcurl from waiting for "100 Continue".
      "Expect:",
    ]
    for header in item.headers { lines.append("\(header.name): \(header.value)") }
    if !receiver.secrets.isEmpty {
      let signatures = Signature.header(id: item.webhookID, timestamp: timestamp, body: body, secrets: receiver.secrets)
      lines.append("webhook-signature: \(signatures)")
    }
    for line in lines {
      guard let longer = curl_slist_append(headers, line) else { return false }
      headers = longer
    }
    guard vigil_curl_set_headers(easy, headers) == CURLE_OK else { return false }
    return body.withUnsafeBytes { vigil_curl_set_body(easy, $0.baseAddress, $0.count) } == CURLE_OK
  }

  /// A header value that cannot end its line.
  private static func isValue(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
  }

  /// A header name (RFC 9110 token, without the rarer marks) that is not one of ours.
  private static func isName(_ text: String) -> Bool {
    let name = text.lowercased()
    let isToken = name.utf8.allSatisfy { byte in
      (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
        || byte == UInt8(ascii: "_")
    }
    return isToken && !name.isEmpty && !name.hasPrefix("webhook-")
      && !["content-type", "content-length", "host", "expect", "transfer-encoding"].contains(name)
  }

  /// The body of the response, empty where it was longer than is kept: part of an answer says nothing.
  var answer: [UInt8] { responseBytes == kept.count ? kept : [] }

  /// Forgets the attempt; the handle can be loaded again.
  func unload() {
    _ = vigil_curl_set_headers(easy, nil)
    curl_slist_free_all(headers)
    headers = nil
    attempt = nil
    responseBytes = 0
    kept.removeAll(keepingCapacity: true)
    addressRefused = false
  }

  /// What came of it, once libcurl says it is done.
  func result(_ code: CURLcode) -> AttemptResult {
    let status = vigil_curl_get_long(easy, CURLINFO_RESPONSE_CODE)
    let overlong = code == CURLE_WRITE_ERROR && responseBytes > Self.responseBytesMax
    if code == CURLE_OK || overlong, status >= 200 {
      let seconds = min(max(0, vigil_curl_get_offset(easy, CURLINFO_RETRY_AFTER)), 86_400)
      return .answered(status: status, retryAfterMs: seconds > 0 ? seconds * 1000 : nil)
    }
    if addressRefused { return .broken(.addressRefused) }
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST: return .broken(.resolve)
    case CURLE_COULDNT_CONNECT: return .broken(.connect)
    case CURLE_OPERATION_TIMEDOUT: return .broken(.timeout)
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
      CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR:
      return .broken(.tls)
    default: return .broken(.other)
    }
  }

  /// Connections the attempt had to open: 0 when one was still there.
  var connections: Int { vigil_curl_get_long(easy, CURLINFO_NUM_CONNECTS) }

  /// How long the attempt took, in microseconds.
  var latencyMicros: Int64 { vigil_curl_get_offset(easy, CURLINFO_TOTAL_TIME_T) }
}

/// Counts the response body and keeps its beginning; returning less than given ends the transfer.
private func takeResponse(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let transfer = Unmanaged<WebhookTransfer>.fromOpaque(context).takeUnretainedValue()
  transfer.responseBytes += size * count
  if let bytes, transfer.responseBytes <= WebhookTransfer.answerBytesMax {
    bytes.withMemoryRebound(to: UInt8.self, capacity: size * count) {
      transfer.kept.append(contentsOf: UnsafeBufferPointer(start: $0, count: size * count))
    }
  }
  return transfer.responseBytes > WebhookTransfer.responseBytesMax ? 0 : size * count
}

/// Opens a socket only to an address the receiver may have.
private func openGuardedSocket(
  _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
  let none: curl_socket_t = -1
  guard let context, let address else { return none }
  let transfer = Unmanaged<WebhookTransfer>.fromOpaque(context).takeUnretainedValue()
  let isAllowed =
    transfer.allowsAnyAddress
    || withUnsafePointer(to: &address.pointee.addr) { AddressGuard.isPublic($0) }
  guard isAllowed else {
    transfer.addressRefused = true
    return none
  }
  let flags = Int32(SOCK_CLOEXEC.rawValue)
  return socket(address.pointee.family, address.pointee.socktype | flags, address.pointee.protocol)
}

/// Looks at the far end of the connection a request is about to use. A kept connection was opened for a receiver at the
/// same place, who may have been allowed more than this one.
private func checkConnection(
  _ context: UnsafeMutableRawPointer?, _ far: UnsafeMutablePointer<CChar>?, _ near: UnsafeMutablePointer<CChar>?,
  _ farPort: Int32, _ nearPort: Int32
) -> Int32 {
  guard let context else { return Int32(CURL_PREREQFUNC_ABORT) }
  let transfer = Unmanaged<WebhookTransfer>.fromOpaque(context).takeUnretainedValue()
  if transfer.allowsAnyAddress { return Int32(CURL_PREREQFUNC_OK) }
  guard let far, AddressGuard.isPublic(text: String(cString: far)) else {
    transfer.addressRefused = true
    return Int32(CURL_PREREQFUNC_ABORT)
  }
  return Int32(CURL_PREREQFUNC_OK)
}
