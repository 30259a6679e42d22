export { PREFERRED_PORT, UdpSocket, type UdpSocketOptions } from "./socket.ts";
