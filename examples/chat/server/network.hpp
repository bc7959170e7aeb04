// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "server/handler.hpp"
#include "server/static_files.hpp"

namespace chat {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using Request = http::request<http::string_body>;

/// Accepts connections until the context is stopped, each on a strand of its own.
net::awaitable<void> listen(tcp::acceptor acceptor, Handler& handler, const StaticFiles& files);

/// One connection: the page's files over HTTP, and the chat from the moment that the client asks for a WebSocket at /chat.
net::awaitable<void> serve_http(beast::tcp_stream stream, Handler& handler, const StaticFiles& files);

/// The chat: until the client or the connection goes.
net::awaitable<void> serve_web_socket(beast::tcp_stream stream, Request request, Handler& handler);

}  // namespace chat
